"""Sentences that state no fact that is ever asked about: what separates a question from its answer."""

from words import ANIMALS, SOUNDS, an

ADJECTIVES = "little old kind brave shy clever sleepy hungry gentle funny quiet lonely proud tired young".split()
WEATHER = [
    "The sun was warm.", "It was raining.", "The wind was cold.", "The sky was blue.", "Snow fell all morning.",
    "It was a quiet day.", "The night was dark.", "A soft rain fell.", "The moon was full.", "It was very hot.",
    "The clouds were grey.", "The stars were bright.", "It was a cold morning.", "The air was fresh.",
]
ACTIONS = "ran jumped slept sang danced walked sat played looked waited".split()
WHERES = [
    "under a tree", "by the river", "on the hill", "near the road", "on a rock", "in the grass", "by the fire",
    "under the stars", "near the old wall", "in the rain", "on the roof", "by the lake",
]
SEEN = "a rainbow|a butterfly|a big cloud|a boat|a wagon|an old man|a star|a bee|a train|a big tree".split("|")
FOODS = "bread and honey|soup|a pear|some cake|a bun|cheese and bread|porridge|a pie".split("|")
TALKED = "the sea|the old days|the snow|dragons|the stars|pirates|the king|ships|the moon|far countries".split("|")
FELT = "happy hungry tired sleepy proud curious brave shy calm merry".split()
SAID = [
    "What a nice day", "I am so hungry", "Let us play", "I like it here", "Listen to the birds", "We must be quiet",
    "That was fun", "I am not afraid", "Look at the sky", "It is getting late",
]


def sentence(split, people=()):
    """One sentence about nothing that matters; `people` are those who may appear in it."""
    one, kind = split.one, split.rng.randrange(12 if people else 4)
    if kind == 0:
        return one(WEATHER)
    if kind == 1:
        animal = one(ANIMALS)
        return f"{an(one(ADJECTIVES)).capitalize()} {animal} {one(ACTIONS)} {one(WHERES)}."
    if kind == 2:
        animal = one(sorted(SOUNDS))
        return f'"{SOUNDS[animal].capitalize()}," said {an(animal)}.'
    if kind == 3:
        return f"Far away, {an(one(ANIMALS))} {one(ACTIONS)} {one(WHERES)}."
    person = one(people)
    if kind == 4:
        return f"{person} {one(ACTIONS)} {one(['for a while', one(WHERES)])}."
    if kind == 5:
        return f"{person} saw {one(SEEN)} {one(WHERES)}."
    if kind == 6:
        return f"{person} ate {one(FOODS)}."
    if kind == 7:
        return f"{person} was {one(FELT)}, and {one(ACTIONS)} {one(WHERES)}."
    if kind == 8 and len(people) > 1:
        friend = one([other for other in people if other != person])
        return f"{person} and {friend} talked about {one(TALKED)}."
    if kind == 9:
        return f"{person} dreamed of {one(TALKED)}."
    if kind == 10:
        return f"{an(one(ADJECTIVES)).capitalize()} {one(ANIMALS)} looked at {person}."
    return f'"{one(SAID)}," said {person}.'


def sentences(split, count, people=()):
    return [sentence(split, people) for _ in range(count)]
