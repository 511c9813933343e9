"""Trains pebble: `python train.py OUT` writes a model directory, and the losses beside it; `--start OUT` goes on with the
second stage.

One thread of a CPU with bf16 matrix instructions takes about an hour and three quarters; the same commands give the same
model on the same kind of machine.
"""

import argparse
import json
import math
import pathlib
import time
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import AttentionInterface, Gemma2Config, Gemma2ForCausalLM, GenerationConfig

from corpus import document
from tokenizer import train_tokenizer, tokenizer_config
from words import Split

WINDOW, CONTEXT = 128, 1024
TOKENS_PER_STEP = 4096
WARM_UP = 100


@dataclass(frozen=True)
class Stage:
    """A part of the training, with a learning rate that rises, stays and falls to nothing."""

    seed: int
    steps: int
    peak_rate: float
    # Share of the steps before the rate falls.
    constant: float
    # The tokens of a model's turn weigh this many others: a whole document is told for them.
    answer_weight: float
    # Share of puzzles among the facts that are asked about.
    puzzles: float
    # (tokens in a row, share of the steps, lengths of documents in sentences): short rows first, for attention's cost
    # grows with them.
    phases: tuple


STAGES = [
    Stage(0, 4200, 2.5e-3, 0.5, 4.0, 0.35, (
        (256, 0.66, (1, 3, 6, 10, 16, 24)),
        (512, 0.18, (2, 6, 12, 20, 32, 48)),
        (1024, 0.16, (4, 10, 20, 40, 60, 80)),
    )),
    # More questions a token, and more of the kinds that are hard; then long documents again.
    Stage(1, 1000, 1.5e-3, 0.1, 8.0, 0.6, (
        (256, 0.85, (1, 2, 3, 4, 6, 10)),
        (1024, 0.15, (4, 8, 16, 32, 60, 80)),
    )),
]
BOS, EOS, START_OF_TURN, END_OF_TURN = 2, 1, 106, 107


def config():
    return Gemma2Config(
        vocab_size=1536, hidden_size=256, intermediate_size=512, num_hidden_layers=6, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64, query_pre_attn_scalar=64, sliding_window=WINDOW,
        max_position_embeddings=CONTEXT, attn_logit_softcapping=50.0, final_logit_softcapping=30.0,
        tie_word_embeddings=True, bos_token_id=BOS, eos_token_id=EOS, pad_token_id=0, use_cache=False,
        attn_implementation="grouped",
    )


def grouped_attention(module, query, key, value, mask, scaling, softcap, **_):
    """Gemma 2's attention with the query heads of a group as further rows of one product, so that no key is repeated.

    `query` is `[batch, heads, length, head_dim]`, `key` and `value` are `[batch, kv_heads, length, head_dim]`.
    """
    batch, heads, length, width = query.shape
    groups = heads // key.shape[1]
    query = query.reshape(batch, key.shape[1], groups * length, width)
    scores = torch.matmul(query, key.transpose(2, 3)).float() * scaling
    scores = softcap * torch.tanh(scores / softcap)
    scores = scores.view(batch, -1, groups, length, length) + mask[:, :, None]
    weights = torch.softmax(scores, dim=-1).to(value.dtype)
    attended = torch.matmul(weights.view(batch, -1, groups * length, length), value)
    return attended.view(batch, heads, length, width).transpose(1, 2).contiguous(), None


AttentionInterface.register("grouped", grouped_attention)


class Rows:
    """Documents packed into rows of `length` tokens; a document is never cut, and the rest of a row is padding."""

    def __init__(self, tokenizer, split, stage, length, sizes):
        self.tokenizer, self.split, self.stage, self.length, self.sizes = tokenizer, split, stage, length, sizes
        self.model_turn = tokenizer.encode("<start_of_turn>model\n", add_special_tokens=False).ids
        self.left = None

    def document(self):
        while True:
            text = document(self.split, self.split.one(self.sizes), self.stage.puzzles)[0]
            ids = self.tokenizer.encode(text).ids + [EOS]
            if len(ids) <= self.length:
                return ids, self.weights(ids)

    def weights(self, ids):
        """The weight of each token in the loss."""
        weights, answering = [], False
        for at, id_ in enumerate(ids):
            weights.append(self.stage.answer_weight if answering else 1.0)
            if id_ == END_OF_TURN:
                answering = False
            answering = answering or ids[at - len(self.model_turn) + 1 : at + 1] == self.model_turn
        # A story that is told on request is no answer.
        return weights if sum(weight > 1 for weight in weights) < 80 else [1.0] * len(ids)

    def row(self):
        ids, weights, documents, number = [], [], [], 0
        while True:
            next_ids, next_weights = self.left or self.document()
            if len(ids) + len(next_ids) > self.length:
                self.left = next_ids, next_weights
                break
            self.left = None
            ids += next_ids
            weights += [0.0, *next_weights[1:]]
            number += 1
            documents += [number] * len(next_ids)
        padding = self.length - len(ids)
        return ids + [0] * padding, weights + [0.0] * padding, documents + [-1] * padding

    def batch(self):
        """Token ids, loss weights and document numbers, each `[rows, length]`."""
        rows = [self.row() for _ in range(TOKENS_PER_STEP // self.length)]
        ids, weights, documents = zip(*rows)
        return torch.tensor(ids), torch.tensor(weights), torch.tensor(documents)


def masks(documents):
    """What each kind of layer may attend to: earlier tokens of the same document, in local layers those of the window."""
    position = torch.arange(documents.shape[1])
    distance = position[:, None] - position[None, :]
    seen = (distance >= 0) & (documents[:, :, None] == documents[:, None, :])
    additive = lambda allowed: torch.where(allowed, 0.0, -1e30)[:, None]
    return {"full_attention": additive(seen), "sliding_attention": additive(seen & (distance < WINDOW))}


def loss_of(model, ids, weights, mask):
    """Mean weighted negative log-likelihood, and the plain one over all tokens that count, in nats."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=ids, attention_mask=mask).last_hidden_state
        logits = model.lm_head(hidden)
    logits = 30.0 * torch.tanh(logits.float() / 30.0)
    nll = functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    weights = weights[:, 1:].flatten()
    counted = (weights > 0).float()
    return (nll * weights).sum() / weights.sum(), (nll * counted).sum().detach() / counted.sum()


def rate(stage, step):
    """Linear warm-up, a constant part, then a cosine to nothing."""
    if step < WARM_UP:
        return stage.peak_rate * (step + 1) / WARM_UP
    fall = max(0.0, (step / stage.steps - stage.constant) / (1 - stage.constant))
    return stage.peak_rate * 0.5 * (1 + math.cos(math.pi * fall))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--start", type=pathlib.Path, help="what the first stage wrote")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    arguments.out.mkdir(parents=True, exist_ok=True)

    tokenizer = train_tokenizer()
    stage = STAGES[1 if arguments.start else 0]
    model = Gemma2ForCausalLM(config())
    if arguments.start:
        model.load_state_dict(Gemma2ForCausalLM.from_pretrained(arguments.start, dtype=torch.float32).state_dict())
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name]
    others = [weight for name, weight in model.named_parameters() if weight.ndim != 2 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, lr=stage.peak_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=stage.peak_rate, weight_decay=0.0, betas=(0.9, 0.98), fused=True),
    ]
    compiled = torch.compile(loss_of, dynamic=False)

    split, step, started, losses = Split("train", stage.seed), 0, time.time(), []
    for length, share, sizes in stage.phases:
        rows = Rows(tokenizer, split, stage, length, sizes)
        for _ in range(round(share * stage.steps)):
            ids, weights, documents = rows.batch()
            loss, plain = compiled(model, ids, weights, masks(documents))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate(stage, step)
                optimizer.step()
                optimizer.zero_grad()
            losses.append({"stage": stage.seed + 1, "step": step, "tokens": (step + 1) * TOKENS_PER_STEP, "length": length,
                           "weighted": round(loss.item(), 4), "nll": round(plain.item(), 4)})
            if step % 20 == 0:
                recent = losses[-20:]
                mean = {key: sum(row[key] for row in recent) / len(recent) for key in ("weighted", "nll")}
                print(f"step {step} length {length} weighted {mean['weighted']:.3f} nll {mean['nll']:.3f} "
                      f"{time.time() - started:.0f} s", flush=True)
            step += 1
    save(model, tokenizer, arguments.out)
    lines = "".join(json.dumps(row) + "\n" for row in losses)
    (arguments.out / "losses.jsonl").write_text(lines)


def align(path, boundary=64):
    """Pads the header of a safetensors file so that its data begin at a multiple of `boundary`: then a device can use
    a mapped or embedded file in place."""
    stored = path.read_bytes()
    length = int.from_bytes(stored[:8], "little")
    header = stored[8 : 8 + length].rstrip(b" ")
    header += b" " * (-(8 + len(header)) % boundary)
    path.write_bytes(len(header).to_bytes(8, "little") + header + stored[8 + length :])
    path.chmod(0o644)


def save(model, tokenizer, out):
    """Writes a Hugging Face directory with bf16 weights."""
    stored = Gemma2ForCausalLM(config())
    stored.load_state_dict(model.state_dict())
    stored = stored.to(torch.bfloat16)
    stored.config.use_cache = True
    stored.generation_config = GenerationConfig(bos_token_id=BOS, eos_token_id=[EOS, END_OF_TURN], pad_token_id=0)
    stored.save_pretrained(out)
    align(out / "model.safetensors")
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "tokenizer_config.json").write_text(json.dumps(tokenizer_config(), indent=2) + "\n")


if __name__ == "__main__":
    main()
