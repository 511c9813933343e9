"""Results that survive: written whole after every step, so that a run that is cut keeps what it has."""

import json
import os
import pathlib


def write_json(path, value):
    """Replaces the file at once: a reader sees the old results or the new ones, never half of them."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(beside, path)


def splice(path, name, text):
    """Puts `text` between the lines `<!-- name:begin -->` and `<!-- name:end -->` of a document."""
    path = pathlib.Path(path)
    document = path.read_text()
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if document.count(begin) != 1 or document.count(end) != 1 or document.index(begin) > document.index(end):
        raise SystemExit(f"{path} needs the lines {begin} and {end}, once each and in this order")
    before, rest = document.split(begin)
    after = rest.split(end)[1]
    path.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}")
