"""A small world: who is where, who holds what, what lies where. It tells its events and knows the answers."""

from dataclasses import dataclass, field

from words import COLOURS, OBJECTS, PEOPLE, PLACES, they


@dataclass
class World:
    """People, coloured things and places of one story.

    `spot[thing]` is `("in", place)` or `("with", person)`; `at[person]` is a place. Each change returns the
    sentence that tells it.
    """

    split: object
    people: list
    things: list
    places: list
    spot: dict = field(default_factory=dict)
    at: dict = field(default_factory=dict)
    visited: dict = field(default_factory=dict)

    @classmethod
    def random(cls, split, people, things, places):
        nouns = split.some(OBJECTS, things)
        if things > 2 and split.chance(0.3):
            # Two things that differ in colour only.
            nouns[1] = nouns[0]
        colours = split.some(COLOURS, things)
        named = [f"{colour} {noun}" for colour, noun in zip(colours, nouns)]
        return cls(split, split.some(PEOPLE, people), named, split.some(PLACES, places))

    def _allowed(self, options, *words):
        return [option for option in options if self.split.may_state(*words, option)]

    def put(self):
        """Someone puts a thing that nobody else holds in a place."""
        thing = self.split.one(self.things)
        kind, holder = self.spot.get(thing, ("in", None))
        person = holder if kind == "with" else self.split.one(self.people)
        places = self._allowed(self.places, thing.split()[1])
        if not places:
            return None
        place = self.split.one(places)
        self.spot[thing] = ("in", place)
        verb = self.split.one(["put", "left", "hid"])
        return f"{person} {verb} the {thing} in the {place}."

    def take(self):
        """Someone takes a thing that lies about."""
        free = [thing for thing in self.things if self.spot.get(thing, ("in", None))[0] == "in"]
        if not free:
            return None
        thing = self.split.one(free)
        people = self._allowed(self.people, thing.split()[1])
        if not people:
            return None
        person = self.split.one(people)
        self.spot[thing] = ("with", person)
        return f"{person} {self.split.one(['took', 'picked up', 'found'])} the {thing}."

    def give(self):
        """Who holds a thing gives it to another."""
        held = [thing for thing in self.things if self.spot.get(thing, ("in", None))[0] == "with"]
        if not held:
            return self.take()
        thing = self.split.one(held)
        giver = self.spot[thing][1]
        people = self._allowed([person for person in self.people if person != giver], thing.split()[1])
        if not people:
            return None
        taker = self.split.one(people)
        self.spot[thing] = ("with", taker)
        if self.split.chance(0.3):
            return f"{taker} got the {thing} from {giver}."
        return f"{giver} gave the {thing} to {taker}."

    def go(self):
        """Someone goes to another place."""
        person = self.split.one(self.people)
        places = [place for place in self.places if place != self.at.get(person)]
        places = self._allowed(places, person)
        if not places:
            return None
        place = self.split.one(places)
        self.at[person] = place
        self.visited.setdefault(person, []).append(place)
        return f"{person} {self.split.one(['went', 'walked', 'ran'])} to the {place}."

    def event(self):
        """Something happens; the sentence that tells it."""
        while True:
            told = self.split.one([self.put, self.put, self.take, self.give, self.go, self.go])()
            if told:
                return told

    def questions(self):
        """Every question that has an answer now: `(task, fact, question, answer)`; `fact` is what is reserved or not."""
        found = []
        for thing, (kind, where) in self.spot.items():
            noun = thing.split()[1]
            if kind == "in":
                found.append(("where", (noun, where), f"Where is the {thing}?", f"The {thing} is in the {where}."))
            else:
                found.append(("who", (noun, where), f"Who has the {thing}?", f"{where} has the {thing}."))
        for person, place in self.at.items():
            found.append(("person", (person, place), f"Where is {person}?", f"{person} is in the {place}."))
            asked = self.split.one([place, self.split.one(self.places)])
            if asked == place:
                answer = f"Yes, {person} is in the {place}."
            else:
                answer = f"No, {they(person)} is in the {place}."
            found.append(("yes or no", (person, place), f"Is {person} in the {asked}?", answer))
        return found
