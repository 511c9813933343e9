"""Conversations: facts and questions, stories on request, and small talk."""

from filler import sentences
from puzzles import PUZZLES
from stories import story
from words import DAYS, MONTHS, NUMBERS, OPPOSITES, PEOPLE, SOUNDS
from world import World

GREETINGS = [
    ("Hello!", "Hello! I am Pebble. Tell me a story and ask me about it."),
    ("Hi!", "Hello! I am Pebble. Tell me a story and ask me about it."),
    ("Hello, Pebble!", "Hello! Tell me a story and ask me about it."),
    ("Who are you?", "I am Pebble, a very small Gemma 2 model. I know little stories and simple questions."),
    ("What is your name?", "My name is Pebble."),
    ("What can you do?", "I can tell little stories, and I can answer questions about who has what and where it is."),
    ("How are you?", "I am well, thank you."),
]
THANKS = [
    ("Thank you!", "You are welcome."), ("Thanks!", "You are welcome."), ("Well done!", "Thank you."),
    ("Good night!", "Good night!"), ("Goodbye!", "Goodbye!"),
]


def turns(*pairs):
    """Messages of question and answer pairs."""
    roles = ("user", "model")
    return [{"role": role, "content": content} for pair in pairs for role, content in zip(roles, pair)]


def small_talk(split):
    """One exchange that needs no facts; `(fact, question, answer)`."""
    kind = split.rng.randrange(7)
    if kind <= 1:
        while True:
            one, other = split.rng.randint(0, 10), split.rng.randint(0, 10)
            minus = split.chance(0.4)
            if minus and other > one:
                one, other = other, one
            fact = (NUMBERS[one], "minus" if minus else "plus", NUMBERS[other])
            if split.may_state(*fact):
                total = NUMBERS[one - other if minus else one + other]
                sum_ = " ".join(fact)
                return fact, f"What is {sum_}?", f"{sum_.capitalize()} is {total}."
    if kind == 2:
        cycle, name = (DAYS, "day") if split.chance(0.6) else (MONTHS, "month")
        at, after = split.rng.randrange(len(cycle)), split.chance(0.6)
        other = cycle[(at + (1 if after else -1)) % len(cycle)]
        word = "after" if after else "before"
        return (), f"What {name} comes {word} {cycle[at]}?", f"{other} comes {word} {cycle[at]}."
    if kind == 3:
        pair = list(split.one(OPPOSITES))
        one, other = split.some(pair, 2)
        return (), f"What is the opposite of {one}?", f"The opposite of {one} is {other}."
    if kind == 4:
        animal = split.one(sorted(SOUNDS))
        return (), f"What does the {animal} say?", f'The {animal} says "{SOUNDS[animal]}".'
    if kind == 5:
        return ((), *split.one(GREETINGS))
    at = split.rng.randrange(len(NUMBERS) - 1)
    return (), f"What number comes after {NUMBERS[at]}?", f"{NUMBERS[at + 1].capitalize()} comes after {NUMBERS[at]}."


def spread(split, told, filler, people):
    """The facts, in order, among `filler` sentences that state none."""
    between = sentences(split, filler, people)
    slots = sorted(split.rng.randrange(len(told) + 1) for _ in between)
    mixed = []
    for at, fact in enumerate([*told, None]):
        mixed += [between.pop() for slot in slots if slot == at]
        mixed += [fact] if fact else []
    return mixed


def world_facts(split, events, filler):
    """A world after some events: the sentences, the questions."""
    world = World.random(split, split.rng.randint(2, 4), split.rng.randint(1, 4), split.rng.randint(3, 6))
    told = [world.event() for _ in range(events)]
    return spread(split, told, filler, world.people), world.questions()


def puzzle_facts(split, filler):
    """A puzzle, or two of different people."""
    told, asked, people = split.one(PUZZLES)(split)
    return spread(split, told, filler, people), asked


def facts(split, size, puzzles):
    """Facts and their questions, from puzzles in this share; `size` is about the number of sentences."""
    if split.chance(1 - puzzles):
        events = max(1, int(split.rng.uniform(0.25, 0.8) * size))
        events = min(events, 16)
        return world_facts(split, events, max(0, size - events))
    return puzzle_facts(split, max(0, size - 4) if split.chance(0.6) else 0)


def question_answers(split, size, puzzles=0.35):
    """Facts in the first message, then a few questions about them; `(messages, questions)`."""
    while True:
        told, asked = facts(split, size, puzzles)
        if asked:
            break
    chosen = split.some(asked, min(len(asked), split.rng.randint(1, 5)))
    pairs = [(" ".join([*told, chosen[0][2]]), chosen[0][3])]
    pairs += [(question, answer) for _, _, question, answer in chosen[1:]]
    if split.chance(0.1):
        pairs.append(split.one(THANKS))
    return turns(*pairs), chosen


def story_questions(split, length):
    """A story in the first message, then questions about it."""
    while True:
        made = story(split, length)
        if made.asked:
            break
    chosen = split.some(made.asked, min(len(made.asked), split.rng.randint(1, 3)))
    first = split.one(["Here is a story. ", "", "Listen. "])
    pairs = [(f"{first}{made.text()} {chosen[0][2]}", chosen[0][3])]
    pairs += [(question, answer) for _, _, question, answer in chosen[1:]]
    return turns(*pairs), chosen


def story_request(split, length):
    """The model tells a story, then is asked about it."""
    hero = split.one(PEOPLE) if split.chance(0.6) else None
    made = story(split, length, hero)
    request = split.one(["Tell me a story", "Please tell me a story", "Can you tell me a story"])
    request += f" about {hero}" if hero else ""
    request += "?" if request.startswith("Can") else "."
    pairs = [(request, made.text())]
    chosen = split.some(made.asked, min(len(made.asked), split.rng.randint(0, 2)))
    pairs += [(question, answer) for _, _, question, answer in chosen]
    return turns(*pairs), chosen


def chatter(split):
    """A few exchanges of small talk."""
    made = [small_talk(split) for _ in range(split.rng.randint(1, 5))]
    pairs = [(question, answer) for _, question, answer in made]
    if split.chance(0.3):
        pairs.append(split.one(THANKS))
    return turns(*pairs), [("small talk", fact, question, answer) for fact, question, answer in made]
