"""transformers as the reference: in float64 throughout, and in the dtypes it runs by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from cases import PAD


def load(directory: Path, dtype: torch.dtype) -> PreTrainedModel:
    # Eager attention: the only implementation of transformers that softcaps on a CPU.
    return AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation="eager").eval()


def load_float64(directory: Path) -> PreTrainedModel:
    """A model to be called under `float64_throughout`."""
    model = load(directory, torch.float64)
    base = model.model
    # transformers holds these two constants in float32 whatever the model's dtype.
    base.embed_tokens.embed_scale = torch.tensor(model.config.hidden_size, dtype=torch.float64).sqrt()
    base.rotary_emb.forward = lambda x, position_ids: rotary_float64(model.config, position_ids)
    return model


def rotary_float64(config, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines `[batch, tokens, head_dim]` of transformers' default RoPE."""
    exponent = torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim
    angle = position_ids[..., None].double() * config.rope_parameters["rope_theta"] ** -exponent
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos(), angle.sin()


@contextmanager
def float64_throughout() -> Iterator[None]:
    """Lifts transformers' float32 islands (norms and softmax upcast *to* float32) to float64."""
    softmax = torch.nn.functional.softmax

    def softmax_float64(x: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        return softmax(x, dim=dim, dtype=torch.float64)

    with (
        torch.no_grad(),
        patch.object(torch.Tensor, "float", torch.Tensor.double),
        patch.object(torch.nn.functional, "softmax", softmax_float64),
    ):
        yield


def logits(model: PreTrainedModel, tokens: np.ndarray) -> np.ndarray:
    """Logits `[tokens, vocab]` of one sequence, as float64."""
    with torch.no_grad():
        ids = torch.from_numpy(tokens).long()[None]
        return model(ids, use_cache=False).logits[0].to(torch.float64).numpy()


def greedy(model: PreTrainedModel, prompt: np.ndarray, new_tokens: int) -> tuple[list[int], float]:
    """The greedy continuation, stop ids ignored, and the least margin between its tokens and their runners-up.

    Each step scores the whole sequence anew; that transformers' KV cache yields the same is asserted.
    """
    tokens, least_margin = list(prompt), float("inf")
    for _ in range(new_tokens):
        last = logits(model, np.array(tokens))[-1]
        second, first = np.argsort(last)[-2:]
        least_margin = min(least_margin, float(last[first] - last[second]))
        tokens.append(int(first))
    continuation = tokens[len(prompt) :]

    ids = torch.tensor([[int(token) for token in prompt]])
    cached = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new_tokens,
        do_sample=False,
        use_cache=True,
        eos_token_id=-1,
        pad_token_id=PAD,
    )
    if cached[0, len(prompt) :].tolist() != continuation:
        raise RuntimeError("transformers disagrees with itself about a greedy continuation with and without a cache")
    return continuation, least_margin
