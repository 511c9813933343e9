#!/usr/bin/env python3
"""Times Lapidary and its peers on one random checkpoint, in turns, and writes one table.

    benches/peers/run.py --out results --rounds 3
    benches/peers/run.py --out results --layers 4 --peers torch,llama-bf16     # a quick look
    benches/peers/run.py --out results --splice docs/performance.md            # and into the documentation

README.md, beside this file, says what is measured.
"""

import argparse
import json
import pathlib
import random
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common"))

import agreement
import catalogue
import lapidary
import machine
import prepare
import process
import store
import table

SHORT_TOKENS = 16
BOS = 2
# Ids from here on are ordinary text in Gemma's vocabulary.
FIRST_ORDINARY_TOKEN = 256


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="DIR", help="where results.json and table.md go")
    parser.add_argument("--rounds", type=int, default=3, help="times that every peer has its turn (3)")
    parser.add_argument("--repetitions", type=int, default=2, help="times that a process measures, after one to warm up (2)")
    parser.add_argument("--peers", default=",".join(peer.name for peer in catalogue.PEERS), metavar="A,B,...",
                        help="which; Lapidary always takes part (all: %(default)s)")
    parser.add_argument("--config", default="gemma2-2b", choices=sorted(catalogue.CONFIGS), help="the shape (%(default)s)")
    parser.add_argument("--layers", type=int, help="decoder layers, instead of the config's")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of the prompt (512)")
    parser.add_argument("--decode", type=int, default=32, help="tokens to make after it (32)")
    parser.add_argument("--decode-seconds", type=float, default=30.0, help="a slower repetition ends after so long (30)")
    parser.add_argument("--threads", type=int, help="processors to pin every process to (all that this one may use)")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds that a process may take (900)")
    parser.add_argument("--work", type=pathlib.Path, default=prepare.ROOT / "target" / "peers", metavar="DIR",
                        help="where checkpoints and builds are kept (target/peers)")
    parser.add_argument("--venv", type=pathlib.Path, metavar="DIR", help="virtual environment of the clients, made when missing (WORK/venv)")
    parser.add_argument("--lapidary", type=pathlib.Path, metavar="FILE", help="the command; default: this checkout's release build")
    parser.add_argument("--splice", type=pathlib.Path, metavar="FILE.md", help="put the table between its <!-- peers:begin --> and <!-- peers:end -->")
    parser.add_argument("--label", help="a sentence to put before the table, such as what the run was for")
    return parser.parse_args()


class Run:
    """A run: what is compared, and what is known so far."""

    def __init__(self, options):
        self.options = options
        processors = machine.usable_processors()
        self.processors = processors[: options.threads or len(processors)]
        venv = options.venv or options.work / "venv"
        self.workshop = prepare.Workshop(options.work, venv, options.lapidary, self.processors, options.timeout)
        self.peers = catalogue.named(options.peers.split(",") if options.peers else [])
        self.out = options.out.resolve()
        self.commands = {}
        # Directories of Lapidary's forms.
        self.models = {}

    def main(self):
        self.workshop.build_lapidary()
        self.checkpoint = self.workshop.checkpoint(self.options.config, self.options.layers)
        self.checkpoint_bytes = sum(path.stat().st_size for path in self.checkpoint.glob("*.safetensors"))
        self.write_requests()
        self.results = {
            "machine": machine.facts(prepare.ROOT),
            "unix_time_s": int(time.time()),
            "request": {
                "config": self.options.config, "layers": self.options.layers, "prompt_tokens": self.options.prompt,
                "decode_tokens": self.options.decode, "threads": len(self.processors), "repetitions": self.options.repetitions,
                "checkpoint_bytes": self.checkpoint_bytes,
            },
            "rounds": self.options.rounds,
            "peers": {
                peer.name: {"label": peer.label, "weights": peer.weights, "versions": {}, "agreement": None, "failure": None, "rounds": []}
                for peer in (catalogue.LAPIDARY, *self.peers)
            },
        }
        for peer in (catalogue.LAPIDARY, *self.peers):
            self.attempt(peer, self.prepare)
        reference = self.check_lapidary()
        for peer in self.peers:
            self.attempt(peer, self.check, reference)
        for number in range(1, self.options.rounds + 1):
            for peer in (catalogue.LAPIDARY, *self.peers):
                self.attempt(peer, self.measure, number)
        text = self.save()
        print(text)
        if self.options.splice:
            store.splice(self.options.splice, "peers", text)

    def attempt(self, peer, action, *rest):
        """Does something with a peer that has not failed. If it fails now, that is a result, too."""
        state = self.results["peers"][peer.name]
        if state["failure"] is None:
            try:
                action(peer, *rest)
            except (process.Failed, OSError, ValueError, KeyError, IndexError) as error:
                state["failure"] = str(error) if isinstance(error, process.Failed) else f"{type(error).__name__}: {error}"
                self.workshop.tell(f"{peer.name}: failed: {state['failure']}")
            self.save()

    def write_requests(self):
        config = json.loads((self.checkpoint / "config.json").read_text())
        draw = random.Random(0)
        ordinary = lambda: draw.randrange(FIRST_ORDINARY_TOKEN, config["vocab_size"])
        tokens = lambda count: [BOS, *(ordinary() for _ in range(count - 1))]
        options = self.options
        self.request = {
            "checkpoint": str(self.checkpoint), "vocab": config["vocab_size"],
            "short": tokens(SHORT_TOKENS), "prompt": tokens(options.prompt),
            "decode_tokens": options.decode, "decode_seconds": options.decode_seconds,
            "threads": len(self.processors), "warmup": 1, "repetitions": options.repetitions, "logits": None,
            "jax_cache": str(self.workshop.work / "jax-cache"),
        }
        self.requests = self.workshop.work / "requests"
        self.short = self.requests / "short.json"
        store.write_json(self.short, self.request["short"])

    def prepare(self, peer):
        if peer.own:
            quantized = peer.quantized and self.workshop.quantized(self.checkpoint, peer.quantized)
            self.models[peer.name] = quantized or self.checkpoint
            return
        extra = {}
        if peer.packages:
            self.workshop.install(peer.packages)
        if peer.gguf:
            extra["gguf"] = str(self.workshop.gguf(self.checkpoint, peer.gguf))
        if peer.candle:
            command = [self.workshop.candle(), None, peer.candle]
            self.results["peers"][peer.name]["versions"] = {"candle": prepare.candle_version()}
        else:
            script, *rest = peer.client
            command = [self.workshop.python, prepare.CLIENTS / script, None, *rest]
        self.commands[peer.name] = (command, extra)

    def check_lapidary(self):
        """Logits of the short prompt in f32, against which everyone's are judged; those in bf16 where f32 fails."""
        state = self.results["peers"]["lapidary"]
        self.workshop.tell("checking Lapidary")
        reference = None
        try:
            lapidary.first_token(self.workshop, catalogue.LAPIDARY, self.short, self.checkpoint)
            own = reference = self.logits(catalogue.LAPIDARY, "bf16")
            reference = self.logits(catalogue.LAPIDARY, "f32")
            state["agreement"] = agreement.compare(own, reference)
        except process.Failed as error:
            if reference is None:
                state["failure"] = str(error)
            self.workshop.tell(f"lapidary: {error}")
        self.save()
        return reference

    def logits(self, peer, dtype):
        model = self.models[peer.name]
        return agreement.read_last_logits(lapidary.logits(self.workshop, peer, self.short, model, self.requests, dtype))

    def check(self, peer, reference):
        """A start without measuring: whether the logits agree."""
        self.workshop.tell(f"checking {peer.name}")
        if peer.own:
            lapidary.first_token(self.workshop, peer, self.short, self.models[peer.name])
            answer = self.logits(peer, "bf16")
        else:
            logits = self.requests / f"{peer.name}.f32"
            logits.unlink(missing_ok=True)
            done = self.start(peer, {"warmup": 0, "repetitions": 0, "logits": str(logits)})
            self.about(peer, done.events)
            answer = agreement.read_logits(logits)
        if reference is not None:
            state = self.results["peers"][peer.name]
            state["agreement"] = agreement.compare(answer, reference)
            self.workshop.tell(f"{peer.name}: {state['agreement']}")

    def measure(self, peer, number):
        state = self.results["peers"][peer.name]
        self.workshop.tell(f"round {number} of {self.options.rounds}: {peer.name}")
        load_average = machine.load_average()
        if peer.own:
            self.room_for(peer)
            self.read_files(peer)
            figures = lapidary.measure(self.workshop, peer, self.request, self.short, self.models[peer.name])
            state["versions"] = figures.pop("versions")
        else:
            figures = self.figures(self.start(peer, {}), state)
        state["rounds"].append({"round": number, "load_average": load_average, **figures})
        rates = f"{figures['prefill_tokens_per_s']:.1f} tokens/s of prefill, {figures['decode_tokens_per_s']:.2f} of decode"
        self.workshop.tell(f"round {number} of {self.options.rounds}: {peer.name}: {rates}")

    def start(self, peer, changes):
        """Runs a client on the request with `changes`."""
        self.room_for(peer)
        self.read_files(peer)
        command, extra = self.commands[peer.name]
        path = self.requests / f"{peer.name}.json"
        store.write_json(path, {**self.request, **extra, **changes})
        return self.workshop.run([path if part is None else part for part in command], peer.name)

    def room_for(self, peer):
        needed, available = peer.memory * self.checkpoint_bytes, machine.available_memory()
        if available is not None and available < needed:
            raise process.Failed(f"it needs {needed / 1e9:.1f} GB of memory, and {available / 1e9:.1f} GB are free")

    def read_files(self, peer):
        """Reads a peer's weights once, so that every one finds its files in memory, whoever ran before."""
        gguf = self.commands[peer.name][1].get("gguf") if peer.name in self.commands else None
        directory = self.models.get(peer.name, self.checkpoint)
        for path in [pathlib.Path(gguf)] if gguf else sorted(directory.glob("*.safetensors")):
            with path.open("rb", buffering=0) as file:
                buffer = bytearray(1 << 24)
                while file.readinto(buffer):
                    pass

    def about(self, peer, events):
        done = _only(events, "done")
        state = self.results["peers"][peer.name]
        state["versions"].update(done["versions"])
        if "build" in done:
            state["build"] = done["build"]

    def figures(self, done, state):
        events = done.events
        rates = lambda name: [event["tokens"] / event["seconds"] for event in events if event["event"] == name]
        prefill, decode = rates("prefill"), rates("decode")
        return {
            "prefill_tokens_per_s": statistics.mean(prefill),
            "decode_tokens_per_s": statistics.mean(decode),
            "loaded_s": _only(events, "loaded")["at_s"],
            "first_token_s": _only(events, "first_token")["at_s"],
            "first_token": _only(events, "first_token")["token"],
            "peak_rss_bytes": done.peak_rss_bytes,
            "weight_bytes": _only(events, "done")["weight_bytes"],
            "events": events,
        }

    def save(self):
        """Writes what is known so far, and returns it as Markdown."""
        store.write_json(self.out / "results.json", self.results)
        text = table.markdown(self.results)
        label = f"{self.options.label}\n\n" if self.options.label else ""
        (self.out / "table.md").write_text(label + text)
        return label + text


def _only(events, name):
    found = [event for event in events if event["event"] == name]
    if not found:
        raise process.Failed(f"it ended before it was {name.replace('_', ' ')}")
    return found[0]


if __name__ == "__main__":
    Run(arguments()).main()
