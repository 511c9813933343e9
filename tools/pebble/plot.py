"""Draws the loss curve of both stages: `python plot.py one/losses.jsonl two/losses.jsonl losses.svg`."""

import argparse
import json
import pathlib

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt


def smooth(values, width=25):
    """Running means over `width` steps."""
    return [sum(values[max(0, at - width) : at + 1]) / len(values[max(0, at - width) : at + 1]) for at in range(len(values))]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("losses", nargs="+", type=pathlib.Path)
    parser.add_argument("picture", type=pathlib.Path)
    arguments = parser.parse_args()
    rows, millions = [], []
    for losses in arguments.losses:
        stage = [json.loads(line) for line in losses.read_text().splitlines()]
        before = millions[-1] if millions else 0.0
        millions += [before + row["tokens"] / 1e6 for row in stage]
        rows += stage

    # No dates and fixed ids: the same losses give the same file.
    plt.rcParams.update({"svg.hashsalt": "pebble", "svg.fonttype": "none", "font.family": "sans-serif"})
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axes.plot(millions, smooth([row["nll"] for row in rows]), label="all tokens", color="#2f6f9f")
    axes.plot(millions, smooth([row["weighted"] for row in rows]), label="answers weighted more", color="#c4622d")
    for before, row, at in zip(rows, rows[1:], millions[1:]):
        if before["length"] != row["length"]:
            axes.axvline(at, color="#999999", linewidth=0.8, linestyle=":")
            axes.text(at, 2.35, f" {row['length']}", fontsize=9, color="#555555")
    axes.text(0, 2.35, f" rows of {rows[0]['length']} tokens", fontsize=9, color="#555555")
    axes.set(xlabel="tokens seen, millions", ylabel="loss, nats a token", ylim=(0, 2.5), xlim=(0, millions[-1]))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.9))
    figure.savefig(arguments.picture, metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    main()
