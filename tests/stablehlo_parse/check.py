#!/usr/bin/env python3
"""Parse and verify StableHLO text with jaxlib's MLIR, a parser that is not ours.

    python check.py FILE.mlir... DIRECTORY...

A directory stands for every `*.mlir` file below it. Exit status: 0 if every module was accepted, 1 if
any was rejected (each named on stderr with the parser's own diagnostics), 2 if there was nothing to
check. The dialects are those that JAX registers, Shardy's among them.

A module is also rejected if libStablehlo cannot make a portable artifact of it for readers of 1.13, or reads
another module out of that. Modules with operations or attributes of other dialects (Shardy's for a mesh, CHLO)
have no such form; the others are counted.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from jax.interpreters import mlir as jax_mlir
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

OLDEST_READER = "1.13.0"
OTHER_DIALECTS = re.compile(r"\b(?:sdy|chlo)\.")


def modules_under(paths: list[Path]) -> Iterator[Path]:
    """The files named, and the `*.mlir` files of the directories named, in a stable order."""
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("*.mlir"))
        else:
            yield path


def rejection(text: str) -> str | None:
    """Why `text` is not a valid module, or None if it is."""
    # A context per module: diagnostics and symbol tables of one file cannot reach the next.
    with jax_mlir.make_ir_context() as context:
        # Otherwise an op that no dialect declares would parse in its generic form, unverified.
        context.allow_unregistered_dialects = False
        try:
            module = ir.Module.parse(text)
            # Parsing verifies what it reads; the explicit call also covers the module as a whole.
            module.operation.verify()
            if not OTHER_DIALECTS.search(text):
                artifact = stablehlo.serialize_portable_artifact(module, OLDEST_READER)
                again = stablehlo.deserialize_portable_artifact(context, artifact)
                again.operation.verify()
                # Texts differ: what has its default value is left out of artifacts.
                if stablehlo.serialize_portable_artifact(again, OLDEST_READER) != artifact:
                    return f"the portable artifact for {OLDEST_READER} holds another module"
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
    rejected = portable = 0
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            text, reason = "", f"cannot be read: {error}"
        else:
            reason = rejection(text)
        portable += reason is None and not OTHER_DIALECTS.search(text)
        if reason is not None:
            rejected += 1
            print(f"{path}: rejected\n{reason}\n", file=sys.stderr)
    print(f"{len(files) - rejected} of {len(files)} modules accepted, {portable} of them as artifacts for {OLDEST_READER}")
    return 1 if rejected else 0


if __name__ == "__main__":
    sys.exit(main())
