"""The words of pebble's little world, and which facts are kept out of training."""

import random
import zlib

GIRLS = "Mira Lily Anna Rosa Nina Ella Ruth Clara Ivy Zoe Maya Nora Ada Tess June Lena Kate Alma".split()
BOYS = "Tom Sam Ben Leo Max Finn Hugo Otto Paul Nico Jack Omar Emil Noah Theo Carl Ravi Abel".split()
PEOPLE = GIRLS + BOYS

OBJECTS = (
    "ball kite key book lamp hat drum coin ring bell cup map doll spoon scarf box rope basket candle feather "
    "pencil mirror blanket button shell whistle ladder bucket flute glove"
).split()
COLOURS = "red blue green yellow white black brown pink purple golden".split()
PLACES = (
    "kitchen garden barn attic cellar library school market forest park tower cave bakery stable harbor bridge "
    "mill castle meadow bedroom hall tent shop church"
).split()
ANIMALS = "cat dog fox rabbit owl bear mouse duck horse frog goat hedgehog squirrel sheep crow turtle".split()
PLURAL = {"mouse": "mice", "fox": "foxes", "sheep": "sheep"}
ITEMS = "apple egg plum nut cookie carrot stone flower berry leaf pear stamp".split()
ITEM_PLURAL = {"berry": "berries", "leaf": "leaves"}
PETS = "Pip Dot Fluff Rex Moss Patch Biscuit Pepper".split()
NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
).split()
ORDINALS = "first second third fourth fifth".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()
OPPOSITES = [
    ("big", "small"), ("hot", "cold"), ("happy", "sad"), ("old", "young"), ("fast", "slow"), ("wet", "dry"),
    ("dark", "light"), ("tall", "short"), ("loud", "quiet"), ("early", "late"), ("full", "empty"),
    ("open", "closed"), ("up", "down"), ("day", "night"), ("hard", "soft"), ("clean", "dirty"),
]
SOUNDS = {
    "cat": "meow", "dog": "woof", "owl": "hoot", "mouse": "squeak", "duck": "quack", "horse": "neigh",
    "frog": "croak", "sheep": "baa", "crow": "caw",
}

# A fact whose words hash to 0 modulo this is never stated in training, anywhere.
RESERVED_MODULUS = 8


def reserved(*words):
    """Whether the fact that joins these words is kept for the held-out set."""
    return zlib.crc32("|".join(words).encode()) % RESERVED_MODULUS == 0


def plural(item, count):
    """`apple` and a count: `one apple`, `no apples`, `three apples`."""
    if count == 1:
        return f"one {item}"
    many = ITEM_PLURAL.get(item, item + "s")
    return f"{'no' if count == 0 else NUMBERS[count]} {many}"


def many(item):
    return ITEM_PLURAL.get(item, item + "s")


def an(word):
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def they(person, form="she"):
    """The pronoun of a person, in the given form: `she`, `her`, `hers` stand for the forms."""
    table = {"she": ("she", "he"), "her": ("her", "him"), "hers": ("her", "his")}
    return table[form][person in BOYS]


class Split:
    """Randomness of one split, and which facts it may state."""

    def __init__(self, name, seed):
        self.name = name
        self.rng = random.Random(f"{name}/{seed}")

    def may_state(self, *words):
        """Whether a document of this split may state this fact."""
        return self.name != "train" or not reserved(*words)

    def choose(self, options, *words):
        """One of `options` such that the fact (`words`..., option) may be stated."""
        while True:
            option = self.rng.choice(options)
            if self.may_state(*words, option):
                return option

    def one(self, options):
        return self.rng.choice(options)

    def some(self, options, count):
        return self.rng.sample(options, count)

    def chance(self, probability):
        return self.rng.random() < probability
