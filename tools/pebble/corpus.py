"""Pebble's corpus: documents without end for training, and a held-out set that states facts training never does.

`python corpus.py OUT` writes `heldout.jsonl` and `tasks.jsonl`; `python corpus.py --show 5` prints documents.
"""

import argparse
import json
import pathlib
import random
import re

from dialogues import chatter, facts, question_answers, small_talk, story_questions, story_request, turns
from invented import rename
from stories import story
from words import Split, reserved

USER, MODEL, END = "<start_of_turn>user\n", "<start_of_turn>model\n", "<end_of_turn>\n"


def render(messages):
    """A conversation as Gemma's chat template writes it, BOS aside."""
    marks = {"user": USER, "model": MODEL}
    return "".join(marks[message["role"]] + message["content"].strip() + END for message in messages)


# In words and punctuation marks, which are about a token each: the longest question leaves room for its answer.
LONGEST_QUESTION = 900
# How many documents tell of people and things by invented names.
INVENTED = 0.2


def document(split, size, puzzles=0.35):
    """One document: `(text, facts)`. `size` is about its length in sentences, `puzzles` a share of what is asked."""
    text, stated = plain_document(split, size, puzzles)
    return (rename(split, text), []) if split.chance(INVENTED) else (text, stated)


def plain_document(split, size, puzzles):
    """A document in the words of the little world."""
    kind = split.rng.random()
    if kind < 0.16:
        made = story(split, size)
        return made.text(), made.facts()
    if kind < 0.26:
        # The same facts and questions as running text, without turns.
        told, asked = facts(split, size, puzzles)
        chosen = split.some(asked, min(len(asked), split.rng.randint(1, 4)))
        told += [f"{question} {answer}" for _, _, question, answer in chosen]
        return " ".join(told), [fact for _, fact, _, _ in chosen]
    if kind < 0.70:
        messages, asked = question_answers(split, size, puzzles)
    elif kind < 0.82:
        messages, asked = story_questions(split, size)
    elif kind < 0.92:
        messages, asked = story_request(split, min(size, 30))
    else:
        messages, asked = chatter(split)
    return render(messages), [fact for _, fact, _, _ in asked]


def heldout_documents(count, seed=0):
    """Texts that each state at least one fact which training never states."""
    split = Split("heldout", seed)
    while count:
        text, stated = document(split, split.rng.choice([4, 8, 16, 32, 60]))
        if any(fact and reserved(*fact) for fact in stated):
            count -= 1
            yield text


def heldout_tasks(per_task, seed=1):
    """Questions whose answer is such a fact, as conversations; `far` ones lie several windows behind the question."""
    split = Split("heldout", seed)
    wanted = {}
    while True:
        far = split.chance(0.3)
        size = split.rng.randint(45, 75) if far else split.rng.randint(2, 12)
        if split.chance(0.1):
            fact, question, answer = small_talk(split)
            messages, asked = turns((question, answer)), [("sum", fact, question, answer)]
        elif split.chance(0.5):
            messages, asked = question_answers(split, size)
        else:
            messages, asked = story_questions(split, size)
        # The first question: the conversation up to the model's first answer.
        task, fact, _, answer = asked[0]
        if not fact or not reserved(*fact):
            continue
        text = messages[0]["content"]
        if len(re.findall(r"\w+|[^\w\s]", text)) > LONGEST_QUESTION:
            continue
        if far:
            # The fact's own sentence, or what names it, must be far from the question.
            position = max(text[: -len(asked[0][2])].rfind(f" {word}") for word in fact[-1:])
            if len(text[position:].split()) < 250:
                continue
            task = "far"
        if wanted.get(task, 0) < per_task:
            wanted[task] = wanted.get(task, 0) + 1
            yield {"task": task, "messages": messages[:1], "answer": answer}
        if len(wanted) == 12 and min(wanted.values()) == per_task:
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=pathlib.Path)
    parser.add_argument("--show", type=int, default=0)
    arguments = parser.parse_args()
    split = Split("train", 0)
    for _ in range(arguments.show):
        print(document(split, split.rng.choice([4, 8, 16, 32]))[0], end="\n----\n")
    if arguments.out:
        tasks = list(heldout_tasks(50))
        # So that the first ones are a fair sample.
        random.Random(0).shuffle(tasks)
        for name, rows in [("heldout", [{"text": text} for text in heldout_documents(150)]), ("tasks", tasks)]:
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (arguments.out / f"{name}.jsonl").write_text(lines)


if __name__ == "__main__":
    main()
