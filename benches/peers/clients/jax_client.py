"""Gemma 2 in plain JAX: one function, jitted, the KV cache donated, the layers unrolled.

`--rows N` pads the rows of every product to N at least. On CPUs XLA makes a product of one row a matrix-vector loop of
its own, into which it pulls the operations before it; a few rows more keep it a call of the matrix library.
"""

import json
import pathlib
import sys
from functools import partial

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import protocol

# Capacities are multiples of this, as accelerators like them.
CACHE_STEP = 128
STORED_TYPES = {"BF16": ml_dtypes.bfloat16, "F16": np.float16, "F32": np.float32}


def read_checkpoint(directory):
    """The tensors of a safetensors checkpoint, by name, as mapped arrays."""
    tensors = {}
    for path in sorted(directory.glob("*.safetensors")):
        data = np.memmap(path, mode="r", dtype=np.uint8)
        size = int(data[:8].view("<u8")[0])
        for name, entry in json.loads(data[8 : 8 + size].tobytes()).items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                raw = data[8 + size + begin : 8 + size + end]
                tensors[name] = raw.view(STORED_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def linear(x, weight, rows):
    """`x · weightᵀ` of x `[tokens, in]` and weight `[out, in]`, accumulated in f32."""
    tokens = x.shape[0]
    if tokens < rows:
        x = jnp.pad(x, ((0, rows - tokens), (0, 0)))
    product = jax.lax.dot_general(x, weight, (((1,), (1,)), ((), ())), preferred_element_type=jnp.float32)
    return product[:tokens].astype(x.dtype)


def norm(x, weight, eps):
    wide = x.astype(jnp.float32)
    scale = jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + eps)
    return (wide * scale * (1 + weight.astype(jnp.float32))).astype(x.dtype)


def rope(x, positions, theta):
    """Rotates the halves of each head of x `[tokens, heads, head_dim]`."""
    half = x.shape[-1] // 2
    angles = positions[:, None] * theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    sin, cos = jnp.sin(angles)[:, None], jnp.cos(angles)[:, None]
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)


def attend(config, layer, q, keys, values, positions):
    """Attention of q `[tokens, heads, head_dim]` over a cache `[kv_heads, slots, head_dim]`.

    In f32: jaxlib's CPU client does not run batched products of bf16 with results in f32.
    """
    kv_heads, slots, _ = keys.shape
    q = q.reshape(q.shape[0], kv_heads, -1, q.shape[-1]).astype(jnp.float32)
    scores = jnp.einsum("tkgd,ksd->kgts", q, keys.astype(jnp.float32))
    scores = scores * config["query_pre_attn_scalar"] ** -0.5
    cap = config["attn_logit_softcapping"]
    scores = cap * jnp.tanh(scores / cap)
    slot = jnp.arange(slots)
    seen = slot[None] <= positions[:, None]
    if layer % 2 == 0:
        seen &= slot[None] > positions[:, None] - config["sliding_window"]
    weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)
    mixed = jnp.einsum("kgts,ksd->tkgd", weights, values.astype(jnp.float32))
    return mixed.astype(values.dtype).reshape(q.shape[0], -1)


def forward(config, rows, weights, cache, ids, start):
    """Logits `[vocab]` of the last of ids `[tokens]`, which follow `start` others, the most likely token, and the cache."""
    eps, heads, head_dim = config["rms_norm_eps"], config["num_attention_heads"], config["head_dim"]
    kv_heads = config["num_key_value_heads"]
    positions = start + jnp.arange(ids.shape[0])
    embedding = weights["model.embed_tokens.weight"]
    x = embedding[ids] * jnp.asarray(config["hidden_size"] ** 0.5, embedding.dtype)
    updated = []
    for layer, (keys, values) in enumerate(cache):
        weight = lambda name: weights[f"model.layers.{layer}.{name}.weight"]
        normed = norm(x, weight("input_layernorm"), eps)
        q = linear(normed, weight("self_attn.q_proj"), rows).reshape(-1, heads, head_dim)
        k = linear(normed, weight("self_attn.k_proj"), rows).reshape(-1, kv_heads, head_dim)
        v = linear(normed, weight("self_attn.v_proj"), rows).reshape(-1, kv_heads, head_dim)
        q, k = rope(q, positions, config["rope_theta"]), rope(k, positions, config["rope_theta"])
        keys = jax.lax.dynamic_update_slice(keys, k.swapaxes(0, 1), (0, start, 0))
        values = jax.lax.dynamic_update_slice(values, v.swapaxes(0, 1), (0, start, 0))
        updated.append((keys, values))
        mixed = linear(attend(config, layer, q, keys, values, positions), weight("self_attn.o_proj"), rows)
        x = x + norm(mixed, weight("post_attention_layernorm"), eps)
        normed = norm(x, weight("pre_feedforward_layernorm"), eps)
        gate = jax.nn.gelu(linear(normed, weight("mlp.gate_proj"), rows), approximate=True)
        branch = linear(gate * linear(normed, weight("mlp.up_proj"), rows), weight("mlp.down_proj"), rows)
        x = x + norm(branch, weight("post_feedforward_layernorm"), eps)
    last = norm(x[-1:], weights["model.norm.weight"], eps)
    logits = linear(last, embedding, rows)[0].astype(jnp.float32)
    cap = config["final_logit_softcapping"]
    logits = cap * jnp.tanh(logits / cap)
    return logits, jnp.argmax(logits), updated


class Model:
    def __init__(self, request):
        # Later starts compile nothing, as Lapidary's do not.
        jax.config.update("jax_compilation_cache_dir", request["jax_cache"])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        directory = pathlib.Path(request["checkpoint"])
        self.config = json.loads((directory / "config.json").read_text())
        # Newer files keep the angle's base in an object of its own.
        self.config.setdefault("rope_theta", self.config.get("rope_parameters", {}).get("rope_theta", 10000.0))
        rows = int(sys.argv[sys.argv.index("--rows") + 1]) if "--rows" in sys.argv else 1
        self.weights = {name: jnp.asarray(tensor) for name, tensor in read_checkpoint(directory).items()}
        jax.block_until_ready(self.weights)
        self.step_program = jax.jit(partial(forward, self.config, rows), donate_argnums=1)
        positions = len(request["prompt"]) + request["decode_tokens"] + 1
        self.capacity = -(-positions // CACHE_STEP) * CACHE_STEP

    def prefill(self, ids):
        shape = (self.config["num_key_value_heads"], self.capacity, self.config["head_dim"])
        empty = lambda: jnp.zeros(shape, jnp.bfloat16)
        self.cache = [(empty(), empty()) for _ in range(self.config["num_hidden_layers"])]
        self.length = 0
        return self._forward(ids)

    def step(self, token):
        return self._forward([token])

    def _forward(self, ids):
        ids = jnp.asarray(ids, jnp.int32)
        self.logits, token, self.cache = self.step_program(self.weights, self.cache, ids, self.length)
        self.length += ids.shape[0]
        return int(token)

    def last_logits(self):
        return np.asarray(self.logits)

    def about(self):
        weights = sum(weight.nbytes for weight in self.weights.values())
        return {"versions": {"jax": jax.__version__}, "weight_bytes": weights}


protocol.run(Model)
