"""A second opinion: Gemma 1 and 2 in float64 numpy, with switches for the mistakes that goldens must expose.

It shares no code with transformers. `make_goldens.py` requires the two to agree, and measures with the
switches how far each mistake moves the logits, so that a golden which could not see one is never committed.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from cases import Case


@dataclass(frozen=True)
class Numerics:
    """How the forward pass is computed. The defaults that `correct` fills in are Gemma's; others are mistakes."""

    query_scale: float
    attn_softcap: float | None
    final_softcap: float | None
    window: int | None  # keys that a local layer sees, itself included
    embedding_scale: float
    local_layer_parity: int = 0  # local layers are those with index % 2 == parity
    norm_offset: float = 1.0
    round_one_plus_w_to_bf16: bool = False
    softcap_before_scale: bool = False
    gelu_tanh: bool = True
    rope_half_split: bool = True
    # Query head i reads KV head i // group (True) or i % kv_heads (False).
    grouped_queries_adjacent: bool = True
    # "branch": norm(branch) + residual. "sum": norm(branch + residual). "none": left out.
    post_norm: str = "branch"
    # Gemma 1 norms the FFN's input by what it calls post_attention_layernorm; Gemma 2 norms the attention branch.
    post_attention_norm_on_branch: bool = False


def correct(case: Case) -> Numerics:
    return Numerics(
        query_scale=case.query_scale,
        attn_softcap=case.attn_logit_softcapping,
        final_softcap=case.final_logit_softcapping,
        window=case.sliding_window,
        embedding_scale=case.hidden_size**0.5,
        post_attention_norm_on_branch=case.is_gemma2,
    )


def mistakes(case: Case) -> dict[str, Numerics]:
    """Every mistake that `case` can expose, by name."""
    right = correct(case)
    wrong = {
        "norm multiplies by w, not 1 + w": replace(right, norm_offset=0.0),
        "embedding not scaled": replace(right, embedding_scale=1.0),
        "gelu by erf, not tanh": replace(right, gelu_tanh=False),
        "rope interleaved, not half-split": replace(right, rope_half_split=False),
        "query scale from hidden_size / heads": replace(
            right, query_scale=(case.hidden_size / case.num_attention_heads) ** -0.5
        ),
    }
    if case.dtype == "bfloat16":
        wrong["1 + w folded into bf16"] = replace(right, round_one_plus_w_to_bf16=True)
    if case.is_gemma2:
        wrong |= {
            "query scale from head_dim": replace(right, query_scale=case.head_dim**-0.5),
            "no attention softcap": replace(right, attn_softcap=None),
            "attention softcap before scale": replace(right, softcap_before_scale=True),
            "no final softcap": replace(right, final_softcap=None),
            "no window": replace(right, window=None),
            "window one key short": replace(right, window=case.sliding_window - 1),
            "window one key long": replace(right, window=case.sliding_window + 1),
            "window on odd layers": replace(right, local_layer_parity=1),
            "post-norm after the residual": replace(right, post_norm="sum"),
            "no post-norm": replace(right, post_norm="none"),
        }
    else:
        wrong["post_attention_layernorm as in Gemma 2"] = replace(right, post_attention_norm_on_branch=True)
    if 1 < case.num_key_value_heads < case.num_attention_heads:
        wrong["query heads dealt to KV heads in turn"] = replace(right, grouped_queries_adjacent=False)
    return wrong


def forward(weights: dict[str, np.ndarray], case: Case, numerics: Numerics, tokens: np.ndarray) -> np.ndarray:
    """Logits `[tokens, vocab]` of one sequence."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        factor = numerics.norm_offset + weights[f"model.{name}.weight"]
        if numerics.round_one_plus_w_to_bf16:
            factor = round_to_bf16(factor)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + case.rms_norm_eps) * factor

    def add_branch(residual: np.ndarray, branch: np.ndarray, post_norm: str) -> np.ndarray:
        match numerics.post_norm:
            case "branch":
                return residual + norm(branch, post_norm)
            case "sum":
                return norm(residual + branch, post_norm)
            case "none":
                return residual + branch

    x = weights["model.embed_tokens.weight"][tokens] * numerics.embedding_scale
    for layer in range(case.num_hidden_layers):
        name = f"layers.{layer}"
        h = attention(weights, case, numerics, layer, norm(x, f"{name}.input_layernorm"))
        if numerics.post_attention_norm_on_branch:
            x = add_branch(x, h, f"{name}.post_attention_layernorm")
            h = norm(x, f"{name}.pre_feedforward_layernorm") if case.is_gemma2 else x
        else:
            x = x + h
            h = norm(x, f"{name}.post_attention_layernorm")
        h = feed_forward(weights, numerics, layer, h)
        x = add_branch(x, h, f"{name}.post_feedforward_layernorm") if case.is_gemma2 else x + h
    logits = norm(x, "norm") @ weights["model.embed_tokens.weight"].T
    return softcap(logits, numerics.final_softcap)


def attention(weights: dict, case: Case, numerics: Numerics, layer: int, x: np.ndarray) -> np.ndarray:
    length, h = len(x), case.head_dim

    def heads(projection: str) -> np.ndarray:
        """`[heads, tokens, head_dim]`"""
        w = weights[f"model.layers.{layer}.self_attn.{projection}_proj.weight"]
        return (x @ w.T).reshape(length, -1, h).transpose(1, 0, 2)

    q, k, v = rope(heads("q"), case, numerics), rope(heads("k"), case, numerics), heads("v")
    head = np.arange(case.num_attention_heads)
    group = case.num_attention_heads // case.num_key_value_heads
    source = head // group if numerics.grouped_queries_adjacent else head % case.num_key_value_heads
    scores = q @ k[source].transpose(0, 2, 1)
    if numerics.softcap_before_scale:
        scores = softcap(scores, numerics.attn_softcap) * numerics.query_scale
    else:
        scores = softcap(scores * numerics.query_scale, numerics.attn_softcap)

    query, key = np.arange(length)[:, None], np.arange(length)[None, :]
    visible = key <= query
    if numerics.window is not None and layer % 2 == numerics.local_layer_parity:
        visible &= key > query - numerics.window
    scores = np.where(visible, scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ v[source]
    return mixed.transpose(1, 0, 2).reshape(length, -1) @ weights[f"model.layers.{layer}.self_attn.o_proj.weight"].T


def rope(x: np.ndarray, case: Case, numerics: Numerics) -> np.ndarray:
    """Rotates `[heads, tokens, head_dim]` by position."""
    half = case.head_dim // 2
    angle = np.arange(x.shape[1])[:, None] * case.rope_theta ** (-np.arange(half) / half)
    cos, sin = np.cos(angle), np.sin(angle)
    if numerics.rope_half_split:
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)
    a, b = x[..., 0::2], x[..., 1::2]
    return np.stack([a * cos - b * sin, b * cos + a * sin], -1).reshape(x.shape)


def feed_forward(weights: dict, numerics: Numerics, layer: int, x: np.ndarray) -> np.ndarray:
    gate, up, down = (weights[f"model.layers.{layer}.mlp.{name}_proj.weight"].T for name in ("gate", "up", "down"))
    return (gelu(x @ gate, numerics.gelu_tanh) * (x @ up)) @ down


def gelu(x: np.ndarray, by_tanh: bool) -> np.ndarray:
    if by_tanh:
        return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / 2**0.5))


def softcap(x: np.ndarray, cap: float | None) -> np.ndarray:
    return x if cap is None else cap * np.tanh(x / cap)


def round_to_bf16(x: np.ndarray) -> np.ndarray:
    """Round to nearest, ties to even, on the upper half of an f32's bits."""
    bits = x.astype(np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return bits.view(np.float32).astype(np.float64)
