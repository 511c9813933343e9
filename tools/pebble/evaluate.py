"""Perplexity and accuracy of a model directory by transformers in float32: the reference for `lapidary eval`.

`python evaluate.py MODEL --text heldout.jsonl --tasks tasks.jsonl` prints one JSON object.
"""

import argparse
import json
import math
import pathlib
import time

import torch
from transformers import AutoTokenizer, Gemma2Config, Gemma2ForCausalLM

BOS, STOP = 2, {1, 107}


def windows(ids, context, stride):
    """Slices of a document (BOS aside) and how many of each slice's last tokens it scores: each token exactly once."""
    size = context - 1
    begin, scored = 0, 0
    while True:
        end = min(begin + size, len(ids))
        yield ids[begin:end], end - scored
        scored = end
        if end == len(ids):
            return
        begin += stride


@torch.no_grad()
def perplexity(model, tokenizer, texts, context, stride):
    total, count, size = 0.0, 0, 0
    for text in texts:
        size += len(text.encode())
        ids = tokenizer(text, add_special_tokens=False).input_ids
        for slice_, scored in windows(ids, context, stride):
            logits = model(torch.tensor([[BOS, *slice_]])).logits[0, :-1].double()
            nll = -torch.log_softmax(logits, -1).gather(1, torch.tensor(slice_)[:, None])[:, 0]
            total += nll[len(slice_) - scored :].sum().item()
            count += scored
    return {"tokens": count, "mean_nll": total / count, "perplexity": math.exp(total / count),
            "bits_per_byte": total / math.log(2) / size}


@torch.no_grad()
def answer(model, tokenizer, messages, longest=48):
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    ids = torch.tensor([tokenizer(prompt, add_special_tokens=False).input_ids])
    made = model.generate(ids, do_sample=False, max_new_tokens=longest)[0, ids.shape[1] :].tolist()
    return tokenizer.decode([id_ for id_ in made if id_ not in STOP]).strip(), len(made)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path)
    parser.add_argument("--tasks", type=pathlib.Path)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--stride", type=int, default=512)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--all-local", action="store_true", help="cut every layer's attention to the window")
    arguments = parser.parse_args()
    config = Gemma2Config.from_pretrained(arguments.model)
    if arguments.all_local:
        config.layer_types = ["sliding_attention"] * config.num_hidden_layers
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    dtype = getattr(torch, arguments.dtype)
    model = Gemma2ForCausalLM.from_pretrained(
        arguments.model, config=config, dtype=dtype, attn_implementation="eager"
    ).eval()
    report = {"dtype": arguments.dtype, "all_local": arguments.all_local}
    if arguments.text:
        texts = [json.loads(line)["text"] for line in arguments.text.read_text().splitlines()]
        report |= perplexity(model, tokenizer, texts, arguments.context, arguments.stride)
    if arguments.tasks:
        rows = [json.loads(line) for line in arguments.tasks.read_text().splitlines()]
        tasks, started, made = {}, time.time(), 0
        for row in rows:
            text, tokens = answer(model, tokenizer, row["messages"])
            tally = tasks.setdefault(row["task"], [0, 0])
            tally[0] += text == row["answer"]
            tally[1] += 1
            made += tokens
        report["tasks"] = {task: {"correct": correct, "n": n} for task, (correct, n) in sorted(tasks.items())}
        correct, n = (sum(column) for column in zip(*tasks.values()))
        report |= {"correct": correct, "n": n, "accuracy": correct / n, "seconds": round(time.time() - started, 1)}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
