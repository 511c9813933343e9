"""Invented names for people and things, so that the model learns to copy words that it has never seen."""

import re

from words import OBJECTS, PEOPLE

ONSETS = "b bl br c ch cl d dr f fl fr g gl gr h j k l m n p pl pr qu r s sh sl sn st t th tr v w y z".split()
VOWELS = "a e i o u a e i o ai ee oa oo ou ie".split()
CODAS = ["", "", "", "n", "r", "l", "s", "t", "m", "x", "nd", "ck", "ng", "rt", "lo", "ra", "na", "by"]


def word(split):
    syllables = split.rng.randint(1, 2)
    return "".join(split.one(ONSETS) + split.one(VOWELS) for _ in range(syllables)) + split.one(CODAS)


def rename(split, text):
    """`text` with some of its people and things called by invented words, each by the same one throughout."""
    present = set(re.findall(r"[A-Za-z]+", text))
    names = {}
    for name in sorted(present & {*PEOPLE, *OBJECTS}):
        if split.chance(0.5):
            names[name] = word(split).capitalize() if name in PEOPLE else word(split)
    if not names:
        return text
    return re.sub(r"\b(" + "|".join(names) + r")\b", lambda match: names[match[0]], text)
