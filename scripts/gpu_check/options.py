"""What the command is told."""

import argparse
import dataclasses
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
PEERS = ("jax", "torch")


@dataclasses.dataclass(frozen=True)
class Cell:
    """Rows that read a prompt of so many tokens each, and then generate."""

    batch: int
    prompt: int

    def __str__(self):
        return f"{self.batch} x {self.prompt}"


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much is measured."""

    models: tuple
    """The most important first."""
    cells: tuple
    """The most important first."""
    generated: int
    """Tokens that are generated after each prompt."""
    goldens: tuple
    """Checkpoints of the parity suite."""


GOLDENS = ("gemma2-windowed", "gemma2-bf16", "gemma2-sharded", "gemma1-mqa", "gemma1-mha", "gemma1-f16")
FULL = Scale(
    models=("gemma2-9b", "gemma2-27b", "gemma2-2b"),
    cells=(Cell(1, 512), Cell(1, 4096), Cell(8, 512), Cell(32, 512), Cell(8, 4096), Cell(32, 4096)),
    generated=32,
    goldens=GOLDENS,
)
QUICK = Scale(models=("tiny",), cells=(Cell(1, 16), Cell(2, 32)), generated=8, goldens=("gemma2-windowed", "gemma2-bf16"))


def cells(text):
    """`1x512,8x4096`"""
    try:
        return tuple(Cell(*map(int, cell.split("x"))) for cell in text.split(","))
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError(f"give ROWSxTOKENS, separated by commas, not {text!r}") from None


def read(arguments=None):
    parser = argparse.ArgumentParser(
        prog="gpu-check", description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="DIR", help="folder for results.json, table.md and logs; nothing else is written")
    parser.add_argument("--lapidary", type=pathlib.Path, metavar="FILE", help="the command (this checkout's target/release/lapidary)")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (cuda)")
    parser.add_argument("--minutes", type=float, default=9.0, help="when to be done; what matters least is dropped (9)")
    parser.add_argument("--models", metavar="A,B,...", help=f"random models to measure, the most important first ({','.join(FULL.models)})")
    parser.add_argument("--cells", type=cells, metavar="ROWSxTOKENS,...", help=f"batches and prompts ({','.join(f'{c.batch}x{c.prompt}' for c in FULL.cells)})")
    parser.add_argument("--peers", default=",".join(PEERS), metavar="A,B", help="jax, torch, both or none, as in --peers '' (jax,torch)")
    parser.add_argument("--python", type=pathlib.Path, default=pathlib.Path(sys.executable), metavar="FILE", help="the Python that has the peers' packages, and perhaps the plugin's (this one)")
    parser.add_argument("--home", type=pathlib.Path, metavar="DIR", help="where Lapidary's plugins are, as LAPIDARY_HOME")
    parser.add_argument("--skip-parity", action="store_true", help="measure alone")
    parser.add_argument("--quick", action="store_true", help="a tiny model, to try the script itself")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    options = parser.parse_args(arguments)
    if options.device.split(":")[0] not in ("cuda", "cpu"):
        parser.error("--device is cuda, cuda:N or cpu")
    if options.minutes <= 0:
        parser.error("--minutes must be above 0")
    options.peers = [peer for peer in options.peers.split(",") if peer]
    unknown = set(options.peers) - set(PEERS)
    if unknown:
        parser.error(f"no peer is called {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    options.lapidary = (options.lapidary or ROOT / "target" / "release" / "lapidary").absolute()
    # A link to an interpreter is what makes a virtual environment of it.
    options.python = options.python.absolute()
    options.out = options.out.absolute()
    scale = QUICK if options.quick else FULL
    options.scale = dataclasses.replace(
        scale,
        models=tuple(options.models.split(",")) if options.models else scale.models,
        cells=options.cells or scale.cells,
    )
    return options
