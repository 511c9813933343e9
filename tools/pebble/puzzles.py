"""Small closed questions: counting, ordering, comparing, colours. Each tells its facts and knows the answers."""

from words import COLOURS, ITEMS, NUMBERS, OBJECTS, ORDINALS, PEOPLE, PLACES, many, plural, they


def counting(split):
    """Gains and losses of one kind of thing; never below none, never above twelve."""
    while True:
        person, other = split.some(PEOPLE, 2)
        item = split.one(ITEMS)
        count = split.rng.randint(1, 8)
        told = [f"{person} had {plural(item, count)}."]
        fact = None
        for _ in range(split.rng.randint(1, 3)):
            change = split.rng.randint(1, 4)
            gain = count == 0 or (split.chance(0.5) and count + change <= 12)
            if not gain:
                change = min(change, count)
            before, count = count, count + change if gain else count - change
            fact = (item, NUMBERS[before], NUMBERS[count])
            amount = f"{NUMBERS[change]} more" if gain else plural(item, change)
            if gain:
                told.append(split.one([
                    f"{they(person).capitalize()} found {amount}.",
                    f"{other} gave {they(person, 'her')} {amount}.",
                    f"Then {person} got {amount}.",
                ]))
            else:
                told.append(split.one([
                    f"{they(person).capitalize()} lost {amount}.",
                    f"{they(person).capitalize()} gave {amount} to {other}.",
                    f"Then {person} ate {amount}." if item in ("apple", "egg", "plum", "nut", "cookie", "pear")
                    else f"Then {person} lost {amount}.",
                ]))
        if split.may_state(*fact):
            answer = f"{person} has {plural(item, count)}."
            question = f"How many {many(item)} does {person} have?"
            return told, [("count", fact, question, answer)], [person, other]


def race(split):
    """Who came first, second, ..."""
    while True:
        runners = split.some(PEOPLE, split.rng.randint(3, 5))
        if all(split.may_state(runner, rank) for runner, rank in zip(runners, ORDINALS)):
            break
    names = split.some(runners, len(runners))
    told = [f"{', '.join(names[:-1])} and {names[-1]} ran a race."]
    if split.chance(0.5):
        told.append(f"{runners[0]} came first.")
        told += [f"{after} came after {before}." for before, after in zip(runners, runners[1:])]
    else:
        ranks = [f"{runner} came {rank}." for runner, rank in zip(runners, ORDINALS)]
        told += split.some(ranks, len(ranks))
    asked = [
        ("order", (runner, rank), f"Who came {rank}?", f"{runner} came {rank}.")
        for runner, rank in zip(runners, ORDINALS)
    ]
    asked.append(("order", (runners[-1], ORDINALS[len(runners) - 1]), "Who came last?", f"{runners[-1]} came last."))
    return told, asked, runners


COMPARISONS = [("taller", "tallest", "shortest"), ("older", "oldest", "youngest"), ("faster", "fastest", "slowest")]


def comparison(split):
    """A chain of comparisons, told in any order."""
    more, most, least = split.one(COMPARISONS)
    while True:
        chain = split.some(PEOPLE, split.rng.randint(3, 4))
        if split.may_state(chain[0], most) and split.may_state(chain[-1], least):
            break
    told = [f"{one} is {more} than {other}." for one, other in zip(chain, chain[1:])]
    told = split.some(told, len(told))
    return told, [
        ("compare", (chain[0], most), f"Who is the {most}?", f"{chain[0]} is the {most}."),
        ("compare", (chain[-1], least), f"Who is the {least}?", f"{chain[-1]} is the {least}."),
    ], chain


def colours(split):
    """What belongs to whom, and its colour."""
    told, asked = [], []
    people = split.some(PEOPLE, split.rng.randint(2, 4))
    for person in people:
        for noun in split.some(OBJECTS, split.rng.randint(1, 2)):
            colour = split.choose(COLOURS, person, noun)
            told.append(split.one([f"{person}'s {noun} is {colour}.", f"{person} has a {colour} {noun}."]))
            fact = (person, noun, colour)
            asked.append(("colour", fact, f"What colour is {person}'s {noun}?", f"{person}'s {noun} is {colour}."))
    return split.some(told, len(told)), asked, people


def journey(split):
    """The places that someone visited, in order."""
    person = split.one(PEOPLE)
    while True:
        stops = split.some(PLACES, split.rng.randint(3, 5))
        if all(split.may_state(person, stop) for stop in stops):
            break
    told = [f"First, {person} went to the {stops[0]}."]
    told += [f"{split.one(['Then', 'After that,', 'Next,'])} {they(person)} went to the {stop}." for stop in stops[1:]]
    asked = [
        ("order", (person, stops[0]), f"Where did {person} go first?", f"{person} went to the {stops[0]} first."),
        ("order", (person, stops[-1]), f"Where did {person} go last?", f"{person} went to the {stops[-1]} last."),
    ]
    for before, after in zip(stops, stops[1:]):
        question = f"Where did {person} go after the {before}?"
        asked.append(("order", (person, after), question, f"After the {before}, {person} went to the {after}."))
    return told, asked, [person]


PUZZLES = [counting, counting, race, comparison, colours, journey]
