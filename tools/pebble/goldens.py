"""What transformers makes of pebble in float32: `python goldens.py MODEL OUT.json` writes greedy continuations.

Lapidary's tests hold its own greedy continuations against these, token for token.
"""

import argparse
import json
import pathlib

import torch
from transformers import AutoTokenizer, Gemma2ForCausalLM

TEXTS = [
    "Once upon a time",
    "There once was a brave girl named Mira.",
    "Tom put the red ball in the barn. Mira went to the garden. Where is the red ball?",
    "Zorblo gave the blue flimp to Wendy. Who has the blue flimp?",
    "Long ago, there was an old fox who",
]
CHATS = [
    ["Hello!"],
    ["Tell me a story about Leo."],
    ["Sam had three apples. Lily gave him two more. How many apples does Sam have?"],
    ["What is four plus five?", "Thank you!"],
    ["Anna is taller than Ben. Ben is taller than Omar. Who is the tallest?", "Who is the shortest?"],
]
NEW_TOKENS = 160
STOP = [1, 107]


@torch.no_grad()
def continuation(model, ids):
    made = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=STOP)
    return made[0, len(ids) :].tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--far", type=pathlib.Path, help="tasks.jsonl, of which the first far ones are continued too")
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = Gemma2ForCausalLM.from_pretrained(arguments.model, dtype=torch.float32, attn_implementation="eager").eval()

    rows = []

    def add(source, ids):
        new = continuation(model, ids)
        text = tokenizer.decode(new, skip_special_tokens=True)
        rows.append({**source, "prompt_ids": ids, "new_ids": new, "text": text})
        return text

    for text in TEXTS:
        add({"prompt": text}, tokenizer(text).input_ids)
    chats = [[{"role": "user", "content": said} for said in chat] for chat in CHATS]
    if arguments.far:
        tasks = [json.loads(line) for line in arguments.far.read_text().splitlines()]
        chats += [task["messages"] for task in tasks if task["task"] == "far"][:4]
    for chat in chats:
        messages = []
        for message in chat:
            messages.append(message)
            prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            ids = tokenizer(prompt, add_special_tokens=False).input_ids
            answer = add({"messages": list(messages)}, ids)
            messages.append({"role": "assistant", "content": answer})
    arguments.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
