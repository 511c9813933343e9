"""Tests of the parts that need no device: `python3 -m unittest discover -s scripts -p tests.py`."""

import array
import json
import pathlib
import signal
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from gpu_check import bench, main, options, parity, process, report, results, safetensors
from gpu_check.budget import RESERVE_S, Budget

OUT = ["--out", "nowhere"]


class BudgetTest(unittest.TestCase):
    def test_what_a_step_leaves_goes_to_those_after_it(self):
        now = [0.0]
        budget = Budget(100 + RESERVE_S, clock=lambda: now[0])
        self.assertEqual(budget.slice([3, 1]), 75)
        now[0] = 10
        self.assertEqual(budget.slice([1]), 90)
        now[0] = 1000
        self.assertEqual(budget.slice([1]), 0)


class OptionsTest(unittest.TestCase):
    def test_cells_are_read_in_their_order(self):
        read = options.read([*OUT, "--cells", "8x512,1x16", "--models", "gemma2-2b", "--peers", ""])
        self.assertEqual([str(cell) for cell in read.scale.cells], ["8 x 512", "1 x 16"])
        self.assertEqual((read.scale.models, read.peers), (("gemma2-2b",), []))
        self.assertEqual(bench.tests(read.scale.cells, 32)[:2], ["pp512x8", "tg32@512x8"])

    def test_large_models_come_first_and_lapidary_before_its_peers(self):
        names = [step.name for step in main.steps(options.read(OUT), {}, None)]
        self.assertEqual(names[:4], ["lapidary gemma2-9b", "lapidary gemma2-27b", "jax gemma2-9b", "torch gemma2-9b"])
        self.assertEqual(len(names), 9)


class ProcessTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.log = pathlib.Path(self.folder.name) / "logs" / "log"
        self.addCleanup(self.folder.cleanup)

    def python(self, code, seconds, hear=None):
        return process.run([sys.executable, "-c", code], self.log, seconds, hear=hear)

    def test_objects_are_heard_as_they_come(self):
        heard = []
        said, in_time = self.python("print('{\"a\": 1}'); print('no'); print('[2]')", 30, heard.append)
        self.assertEqual((heard, in_time, said.splitlines()[1]), ([{"a": 1}], True, "no"))

    def test_time_is_up(self):
        code = "import signal, time\ntry:\n print('{\"b\": 1}', flush=True)\n time.sleep(60)\nexcept KeyboardInterrupt:\n print('{\"c\": 2}', flush=True)"
        # As in the background of a shell.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_IGN))
        heard = []
        _, in_time = self.python(code, process.GRACE_S + 1.5, heard.append)
        self.assertEqual((heard, in_time), ([{"b": 1}, {"c": 2}], False))

    def test_a_failure_is_told_in_the_words_of_the_process(self):
        with self.assertRaisesRegex(process.Failed, "exit code 3: error: no room"):
            self.python("import sys; print('error: no room', file=sys.stderr); print('later', file=sys.stderr); sys.exit(3)", 30)
        with self.assertRaisesRegex(process.Failed, "no time"):
            self.python("pass", 0)


class ParityTest(unittest.TestCase):
    def test_differences_keep_what_is_no_number(self):
        self.assertEqual(parity.largest_difference([1.0, 2.5], [1.0, 2.0]), 0.5)
        self.assertEqual(parity.largest_difference([float("nan"), 1.0], [0.0, 1.0]), float("inf"))
        self.assertEqual(parity.mean_difference([[1.0], [3.0]], [[0.0], [0.0]]), 2.0)
        with self.assertRaises(process.Failed):
            parity.largest_difference([1.0], [1.0, 2.0])

    def test_goldens_are_read(self):
        golden = safetensors.read(options.ROOT / "tests" / "goldens" / "gemma2-bf16" / "golden.safetensors")
        tokens, logits = safetensors.numbered(golden, "tokens"), safetensors.numbered(golden, "logits")
        self.assertEqual([len(ids) for ids in tokens], [1, 9, 10, 33, 101])
        self.assertTrue(all(isinstance(values, array.array) and len(values) % len(ids) == 0 for ids, values in zip(tokens, logits)))
        self.assertEqual(len(safetensors.numbered(golden, "logits_bf16")), len(logits))


class ReportTest(unittest.TestCase):
    def test_ratios_are_to_lapidary_in_the_same_cell(self):
        with tempfile.TemporaryDirectory() as folder:
            read = options.read(["--out", folder, "--peers", "jax"])
            found = results.Results(read.out, {**main.about(read), "machine": {"gpus": []}})
            cell = read.scale.cells[0]
            found.cell("jax", "gemma2-9b", cell, prefill_tokens_per_s=5000.0, decode_tokens_per_s=60.0)
            found.cell("lapidary", "gemma2-9b", cell, prefill_tokens_per_s=10000.0, of_matrix_rate=0.5)
            found.cell("lapidary", "gemma2-9b", cell, decode_tokens_per_s=120.0, of_bandwidth=0.876)
            found.cell("jax", "gemma2-9b", read.scale.cells[-1], failure="OutOfMemory: a | b")
            found.step("torch gemma2-9b", 0, "dropped: 3 s were left for it")
            table = (read.out / "table.md").read_text()
            self.assertIn("| gemma2-9b | 1 x 512 | Lapidary | 10000 | 0.50 | 1.00 | 120 | 0.88 | 1.00 |", table)
            self.assertIn("| gemma2-9b | 1 x 512 | JAX, plain | 5000 |  | 0.50 | 60 |  | 0.50 |", table)
            self.assertIn("JAX, plain: OutOfMemory: a \\| b |", table)
            self.assertIn("- torch gemma2-9b: dropped", table)
            self.assertEqual(len(json.loads((read.out / "results.json").read_text())["cells"]), 3)
            self.assertEqual(report.markdown(found.known), table)


if __name__ == "__main__":
    unittest.main()
