#!/usr/bin/env python3
"""Parse and verify StableHLO text with jaxlib's MLIR, a parser that is not ours.

    python check.py FILE.mlir... DIRECTORY...

A directory stands for every `*.mlir` file below it. Exit status: 0 if every module was accepted, 1 if
any was rejected (each named on stderr with the parser's own diagnostics), 2 if there was nothing to
check. The dialects are those that JAX registers, Shardy's among them.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from jax.interpreters import mlir as jax_mlir
from jaxlib.mlir import ir


def modules_under(paths: list[Path]) -> Iterator[Path]:
    """The files named, and the `*.mlir` files of the directories named, in a stable order."""
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("*.mlir"))
        else:
            yield path


def rejection(path: Path) -> str | None:
    """Why `path` is not a valid module, or None if it is."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read: {error}"
    # A context per module: diagnostics and symbol tables of one file cannot reach the next.
    with jax_mlir.make_ir_context() as context:
        # Otherwise an op that no dialect declares would parse in its generic form, unverified.
        context.allow_unregistered_dialects = False
        try:
            module = ir.Module.parse(text)
            # Parsing verifies what it reads; the explicit call also covers the module as a whole.
            module.operation.verify()
        except (ir.MLIRError, ValueError) as error:
            return str(error)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a .mlir file or a directory of them")
    arguments = parser.parse_args()

    files = list(modules_under(arguments.paths))
    if not files:
        print("nothing to check: no .mlir file under the paths given", file=sys.stderr)
        return 2
    rejected = 0
    for path in files:
        reason = rejection(path)
        if reason is not None:
            rejected += 1
            print(f"{path}: rejected\n{reason}\n", file=sys.stderr)
    print(f"{len(files) - rejected} of {len(files)} modules accepted")
    return 1 if rejected else 0


if __name__ == "__main__":
    sys.exit(main())
