"""Stories: short plots told over facts that matter later in the same story."""

from filler import ADJECTIVES, sentences
from words import ANIMALS, BOYS, COLOURS, GIRLS, ITEMS, NUMBERS, OBJECTS, PEOPLE, PETS, PLACES, an, plural, they

HOMES = [
    "in a small house by the river", "in a big house near the forest", "in a little town by the lake",
    "on a farm near the hill", "in a white house by the road", "in an old mill",
]
OPENINGS = ["Once upon a time, there was", "Once there was", "There once was", "Long ago, there was"]
ENDINGS = [
    "They were all very happy. The end.", "It was a good day. The end.", "And they were friends ever after. The end.",
    "Then everyone went home. The end.", "That night they slept well. The end.",
]


class Story:
    """A story in the making: its people, its sentences, and the questions it can answer."""

    def __init__(self, split, length, hero=None):
        self.split, self.length = split, length
        self.hero = hero or split.one(PEOPLE)
        self.friend, self.third = split.some([person for person in PEOPLE if person != self.hero], 2)
        self.told, self.asked = [], []

    def people(self):
        return [self.hero, self.friend, self.third]

    def tell(self, *told):
        self.told += told

    def pause(self, share=0.3):
        """Some sentences of no consequence, so that the story comes to its length."""
        count = max(1, int(self.length * share * self.split.rng.uniform(0.6, 1.2)))
        self.told += sentences(self.split, count, self.people())

    def ask(self, task, fact, question, answer):
        self.asked.append((task, fact, question, answer))

    def open(self):
        split, she, her = self.split, they(self.hero), they(self.hero, "hers")
        kind = "girl" if self.hero in GIRLS else "boy"
        self.tell(f"{split.one(OPENINGS)} {an(split.one(ADJECTIVES))} {kind} named {self.hero}.")
        companion = "brother" if self.friend in BOYS else "sister"
        if split.chance(0.5):
            companion = "friend"
        pet, animal = split.one(PETS), split.choose(ANIMALS[:3] + ["rabbit", "mouse", "frog"], self.hero, "pet")
        self.tell(f"{she.capitalize()} lived {split.one(HOMES)} with {her} {companion} {self.friend}.")
        if split.chance(0.6):
            self.tell(f"{she.capitalize()} had {an(animal)} named {pet}.")
            self.ask("pet", (self.hero, "pet", animal), f"What animal did {self.hero} have?", f"{self.hero} had {an(animal)}.")
            self.ask("pet", (self.hero, "pet", animal), f"What was the name of the {animal}?", f"The {animal} was named {pet}.")

    def close(self):
        self.tell(self.split.one(ENDINGS))

    def text(self):
        return " ".join(self.told)

    def facts(self):
        return [fact for _, fact, _, _ in self.asked]


def lost_and_found(story):
    """A thing is left somewhere, missed, looked for in the wrong places, and found where it was left."""
    split, hero, friend = story.split, story.hero, story.friend
    she, her = they(hero), they(hero, "hers")
    noun, colour = split.one(OBJECTS), split.one(COLOURS)
    place = split.choose(PLACES, noun)
    wrong = [other for other in split.some(PLACES, 4) if other != place and split.may_state(hero, other)][:2]
    story.tell(f"{hero} had {an(colour)} {noun}.", f"One day {she} left the {noun} in the {place}.")
    story.pause(0.5)
    story.tell(f'"Where is my {noun}?" said {hero}.')
    for other in wrong:
        story.tell(f"{she.capitalize()} looked in the {other}, but the {noun} was not there.")
        story.pause(0.1)
    story.tell(
        f'"I know," said {friend}. "You left it in the {place}."',
        f"They went to the {place}, and there was the {colour} {noun}.",
        f"{hero} was happy to have {her} {noun} again.",
    )
    story.ask("recall", (noun, place), f"Where did {hero} leave the {noun}?", f"{hero} left the {noun} in the {place}.")
    story.ask("recall", (hero, noun), f"What did {hero} lose?", f"{hero} lost {an(colour)} {noun}.")


def presents(story):
    """Things are gathered for a friend, and counted."""
    split, hero, friend = story.split, story.hero, story.friend
    she, item = they(hero), split.one(ITEMS)
    while True:
        first, more = split.rng.randint(1, 6), split.rng.randint(1, 5)
        if split.may_state(item, NUMBERS[first], NUMBERS[first + more]):
            break
    story.tell(f"It was the birthday of {friend}.", f"{hero} wanted to bring {they(friend, 'her')} something.")
    story.tell(f"In the morning {she} found {plural(item, first)}.")
    story.pause(0.3)
    story.tell(f"Later {she} found {NUMBERS[more]} more.", f"Now {hero} had {plural(item, first + more)}.")
    story.pause(0.3)
    story.tell(
        f"{hero} gave the {plural(item, first + more)} to {friend}.",
        f'"Thank you, {hero}," said {friend}.',
    )
    fact = (item, NUMBERS[first], NUMBERS[first + more])
    story.ask("recall", fact, f"What did {hero} give to {friend}?", f"{hero} gave {plural(item, first + more)} to {friend}.")


def hide_and_seek(story):
    """Two hide, one finds them where they hid."""
    split, hero = story.split, story.hero
    hiders = [story.friend, story.third]
    places = []
    for hider in hiders:
        places.append(split.choose([place for place in PLACES if place not in places], hider))
    story.tell(f"One day {hero}, {hiders[0]} and {hiders[1]} played hide and seek.")
    for hider, place in zip(hiders, places):
        story.tell(f"{hider} hid in the {place}.")
        story.ask("recall", (hider, place), f"Where did {hider} hide?", f"{hider} hid in the {place}.")
    story.tell(f"{hero} counted to {split.one(NUMBERS[5:])}.")
    story.pause(0.5)
    for hider, place in split.some(list(zip(hiders, places)), 2):
        story.tell(f"{hero} looked in the {place} and found {hider}.")
        story.pause(0.1)
    story.tell(f'"You are good at this," said {hiders[0]}.')


def trade(story):
    """Two things change hands."""
    split, hero, friend = story.split, story.hero, story.friend
    mine = split.choose(OBJECTS, friend)
    theirs = split.choose([noun for noun in OBJECTS if noun != mine], hero)
    story.tell(f"{hero} had {an(mine)}, and {friend} had {an(theirs)}.")
    story.pause(0.4)
    story.tell(
        f'"I like your {theirs}," said {hero}.', f'"And I like your {mine}," said {friend}.',
        f"So {hero} gave the {mine} to {friend}, and {friend} gave the {theirs} to {hero}.",
    )
    story.pause(0.2)
    story.tell(f"{hero} went home with the {theirs}.")
    story.ask("who", (friend, mine), f"Who has the {mine}?", f"{friend} has the {mine}.")
    story.ask("who", (hero, theirs), f"Who has the {theirs}?", f"{hero} has the {theirs}.")


def secret(story):
    """Someone is told where something is hidden, and remembers it much later."""
    split, hero, friend = story.split, story.hero, story.friend
    noun, colour = split.one(OBJECTS), split.one(COLOURS)
    place = split.choose(PLACES, noun)
    story.tell(f'"The {colour} {noun} is in the {place}," said {friend}. "Do not forget."')
    story.pause(0.8)
    story.tell(
        f"At last {hero} remembered what {friend} had said.",
        f"{they(hero).capitalize()} went to the {place} and found the {colour} {noun}.",
    )
    story.ask("recall", (noun, place), f"Where was the {colour} {noun}?", f"The {colour} {noun} was in the {place}.")
    story.ask("recall", (noun, place), f"What was in the {place}?", f"The {colour} {noun} was in the {place}.")


PLOTS = [lost_and_found, presents, hide_and_seek, trade, secret]


def story(split, length, hero=None):
    """A story of about `length` sentences of filler, and its questions."""
    made = Story(split, length, hero)
    made.open()
    plots = split.some(PLOTS, 2 if length > 20 and split.chance(0.5) else 1)
    for plot in plots:
        plot(made)
    made.close()
    return made
