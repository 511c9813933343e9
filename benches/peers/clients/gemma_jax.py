"""Gemma 2 in plain JAX, as its clients run it: one function to be jitted, the layers unrolled, the KV cache handed through.

Weights are `{"embedding": ..., "norm": ..., "layers": [{"q": ..., ...}, ...]}`, matrices `[out, in]`, and the cache a pair of
`[rows, kv_heads, slots, head_dim]` for each layer.
"""

import jax
import jax.numpy as jnp

# Capacities are multiples of this, as accelerators like them.
CACHE_STEP = 128
# What checkpoints call the weights of a layer.
LAYER = {
    "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
    "input_norm": "input_layernorm", "post_attention_norm": "post_attention_layernorm",
    "pre_mlp_norm": "pre_feedforward_layernorm", "post_mlp_norm": "post_feedforward_layernorm",
}  # fmt: skip


def completed(config):
    """A `config.json` with what newer files keep in an object of its own: the angle's base."""
    theta = (config.get("rope_parameters") or {}).get("rope_theta", 10000.0)
    return {"rope_theta": theta, **config}


def capacity(positions):
    return -(-positions // CACHE_STEP) * CACHE_STEP


def empty_cache(config, rows, slots):
    shape = (rows, config["num_key_value_heads"], slots, config["head_dim"])
    empty = lambda: jnp.zeros(shape, jnp.bfloat16)
    return [(empty(), empty()) for _ in range(config["num_hidden_layers"])]


def linear(x, weight, least_tokens=1):
    """`x · weightᵀ` of x `[rows, tokens, in]` and weight `[out, in]`, f32; with so many tokens at least, of which those
    added are dropped."""
    tokens = x.shape[1]
    if tokens < least_tokens:
        x = jnp.pad(x, ((0, 0), (0, least_tokens - tokens), (0, 0)))
    return jnp.einsum("bti,oi->bto", x, weight, preferred_element_type=jnp.float32)[:, :tokens]


def norm(x, weight, eps):
    wide = x.astype(jnp.float32)
    scale = jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + eps)
    return (wide * scale * (1 + weight.astype(jnp.float32))).astype(x.dtype)


def rope(x, positions, theta):
    """Rotates the halves of each head of x `[rows, tokens, heads, head_dim]`."""
    half = x.shape[-1] // 2
    angles = positions[:, None] * theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    sin, cos = jnp.sin(angles)[:, None], jnp.cos(angles)[:, None]
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)


def attend(config, layer, operands, q, keys, values, positions):
    """Attention of q `[rows, tokens, heads, head_dim]` over a cache, with products of `operands`, accumulated in f32."""
    rows, tokens, _, head_dim = q.shape
    q = q.reshape(rows, tokens, keys.shape[1], -1, head_dim).astype(operands)
    scores = jnp.einsum("btkgd,bksd->bkgts", q, keys.astype(operands), preferred_element_type=jnp.float32)
    scores = scores * config["query_pre_attn_scalar"] ** -0.5
    cap = config["attn_logit_softcapping"]
    scores = cap * jnp.tanh(scores / cap)
    slot = jnp.arange(keys.shape[2])
    seen = slot[None] <= positions[:, None]
    if layer % 2 == 0:
        seen &= slot[None] > positions[:, None] - config["sliding_window"]
    weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1).astype(operands)
    mixed = jnp.einsum("bkgts,bksd->btkgd", weights, values.astype(operands), preferred_element_type=jnp.float32)
    return mixed.astype(values.dtype).reshape(rows, tokens, -1)


def forward(config, operands, least_tokens, weights, cache, ids, start):
    """Logits `[rows, vocab]`, f32, of the last of ids `[rows, tokens]`, which follow `start` others, and the cache."""
    eps, head_dim, theta = config["rms_norm_eps"], config["head_dim"], config["rope_theta"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    rows, tokens = ids.shape
    positions = start + jnp.arange(tokens)
    embedding = weights["embedding"]
    project = lambda x, weight: linear(x, weight, least_tokens).astype(x.dtype)
    x = embedding[ids] * jnp.asarray(config["hidden_size"] ** 0.5, embedding.dtype)
    updated = []
    for number, (weight, (keys, values)) in enumerate(zip(weights["layers"], cache)):
        normed = norm(x, weight["input_norm"], eps)
        q = rope(project(normed, weight["q"]).reshape(rows, tokens, heads, head_dim), positions, theta)
        k = rope(project(normed, weight["k"]).reshape(rows, tokens, kv_heads, head_dim), positions, theta)
        v = project(normed, weight["v"]).reshape(rows, tokens, kv_heads, head_dim)
        keys = jax.lax.dynamic_update_slice(keys, k.swapaxes(1, 2), (0, 0, start, 0))
        values = jax.lax.dynamic_update_slice(values, v.swapaxes(1, 2), (0, 0, start, 0))
        updated.append((keys, values))
        mixed = project(attend(config, number, operands, q, keys, values, positions), weight["o"])
        x = x + norm(mixed, weight["post_attention_norm"], eps)
        normed = norm(x, weight["pre_mlp_norm"], eps)
        gate = jax.nn.gelu(project(normed, weight["gate"]), approximate=True)
        x = x + norm(project(gate * project(normed, weight["up"]), weight["down"]), weight["post_mlp_norm"], eps)
    logits = linear(norm(x[:, -1:], weights["norm"], eps), embedding, least_tokens)[:, 0]
    cap = config["final_logit_softcapping"]
    return cap * jnp.tanh(logits / cap), updated
