"""What is known so far, on the disk after every step."""

import json
import os
import time

from . import report


class Results:
    def __init__(self, folder, about):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.known = {
            "unix_time_s": int(time.time()),
            **about,
            "complete": False,
            "steps": [],
            "doctor": None,
            "parity": [],
            "limits": {},
            "cells": [],
        }

    def step(self, name, seconds, outcome):
        """Notes that a step is over: how long it took, and `done`, or what kept it."""
        self.known["steps"].append({"name": name, "seconds": round(seconds, 1), "outcome": outcome})
        self.save()

    def cell(self, system, model, cell, **figures):
        """Adds figures of a system's cell to those that are known of it."""
        key = {"system": system, "model": model, "batch": cell.batch, "prompt": cell.prompt}
        for known in self.known["cells"]:
            if all(known[name] == value for name, value in key.items()):
                known.update(figures)
                break
        else:
            self.known["cells"].append({**key, **figures})
        self.save()

    def save(self):
        """Replaces both files at once: a reader sees the old results or the new ones, never half of them."""
        _replace(self.folder / "results.json", json.dumps(self.known, indent=1) + "\n")
        _replace(self.folder / "table.md", report.markdown(self.known))


def _replace(path, text):
    beside = path.with_name(path.name + ".part")
    beside.write_text(text)
    os.replace(beside, path)
