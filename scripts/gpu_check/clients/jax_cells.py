"""Gemma 2 in plain JAX: one function, jitted, the KV cache donated, the layers unrolled, random weights made on the device."""

import os
import sys
import time
from functools import partial

# As Lapidary does: memory is taken as it is needed, up to the same share.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.95")

import cells  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

CACHE_STEP = 128
# Scores of a prompt that is attended as a whole may take this much; of a longer one as many rows as do.
SCORE_BYTES = 4 << 30


def shapes(config):
    """Names and shapes of the weights."""
    hidden, heads, kv_heads = config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"]
    head_dim, wide = config["head_dim"], config["intermediate_size"]
    layer = {
        "q": (heads * head_dim, hidden), "k": (kv_heads * head_dim, hidden), "v": (kv_heads * head_dim, hidden),
        "o": (hidden, heads * head_dim), "gate": (wide, hidden), "up": (wide, hidden), "down": (hidden, wide),
        "input_norm": (hidden,), "post_attention_norm": (hidden,), "pre_mlp_norm": (hidden,), "post_mlp_norm": (hidden,),
    }  # fmt: skip
    return {"embedding": (config["vocab_size"], hidden), "norm": (hidden,), "layers": [layer] * config["num_hidden_layers"]}


@partial(jax.jit, static_argnums=1)
def random_weight(key, shape):
    scale = shape[-1] ** -0.5 if len(shape) == 2 else 0.05
    return jax.random.normal(key, shape, jnp.bfloat16) * jnp.bfloat16(scale)


def linear(x, weight):
    """`x · weightᵀ` of x `[rows, tokens, in]` and weight `[out, in]`, accumulated in f32."""
    return jnp.einsum("bti,oi->bto", x, weight, preferred_element_type=jnp.float32).astype(x.dtype)


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


def attend(config, layer, q, keys, values, positions):
    """Attention of q `[rows, tokens, heads, head_dim]` over a cache `[rows, kv_heads, slots, head_dim]`."""
    rows, kv_heads, slots, _ = keys.shape
    q = q.reshape(rows, q.shape[1], kv_heads, -1, q.shape[-1])
    scores = jnp.einsum("btkgd,bksd->bkgts", q, keys, preferred_element_type=jnp.float32)
    scores = scores * config["query_pre_attn_scalar"] ** -0.5
    cap = config["attn_logit_softcapping"]
    scores = cap * jnp.tanh(scores / cap)
    slot = jnp.arange(slots)
    seen = slot[None] <= positions[:, None]
    if layer % 2 == 0:
        seen &= slot[None] > positions[:, None] - config["sliding_window"]
    weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1).astype(values.dtype)
    mixed = jnp.einsum("bkgts,bksd->btkgd", weights, values, preferred_element_type=jnp.float32)
    return mixed.astype(values.dtype).reshape(rows, q.shape[1], -1)


def forward(config, weights, cache, ids, start):
    """The most likely token after each row of ids `[rows, tokens]`, which follow `start` others, and the cache."""
    eps, heads, head_dim = config["rms_norm_eps"], config["num_attention_heads"], config["head_dim"]
    kv_heads, theta = config["num_key_value_heads"], config["rope_theta"]
    rows, tokens = ids.shape
    positions = start + jnp.arange(tokens)
    x = weights["embedding"][ids] * jnp.asarray(config["hidden_size"] ** 0.5, jnp.bfloat16)
    updated = []
    for number, (weight, (keys, values)) in enumerate(zip(weights["layers"], cache)):
        normed = norm(x, weight["input_norm"], eps)
        q = rope(linear(normed, weight["q"]).reshape(rows, tokens, heads, head_dim), positions, theta)
        k = rope(linear(normed, weight["k"]).reshape(rows, tokens, kv_heads, head_dim), positions, theta)
        v = linear(normed, weight["v"]).reshape(rows, tokens, kv_heads, head_dim)
        keys = jax.lax.dynamic_update_slice(keys, k.swapaxes(1, 2), (0, 0, start, 0))
        values = jax.lax.dynamic_update_slice(values, v.swapaxes(1, 2), (0, 0, start, 0))
        updated.append((keys, values))
        mixed = linear(attend(config, number, q, keys, values, positions), weight["o"])
        x = x + norm(mixed, weight["post_attention_norm"], eps)
        normed = norm(x, weight["pre_mlp_norm"], eps)
        gate = jax.nn.gelu(linear(normed, weight["gate"]), approximate=True)
        x = x + norm(linear(gate * linear(normed, weight["up"]), weight["down"]), weight["post_mlp_norm"], eps)
    last = norm(x[:, -1:], weights["norm"], eps)
    logits = jnp.einsum("bti,oi->bto", last, weights["embedding"], preferred_element_type=jnp.float32)
    cap = config["final_logit_softcapping"]
    return jnp.argmax(cap * jnp.tanh(logits / cap), axis=-1).astype(jnp.int32), updated


class Model:
    def __init__(self, request):
        self.config = request["config"]
        # Newer files keep the angle's base in an object of its own.
        self.config.setdefault("rope_theta", (self.config.get("rope_parameters") or {}).get("rope_theta", 10000.0))
        wanted = "cpu" if request["device"] == "cpu" else "gpu"
        if jax.default_backend() != wanted:
            sys.exit(f"JAX runs on {jax.default_backend()}, not on a {wanted}")
        numbers = iter(range(1 << 20))
        make = lambda shape: random_weight(jax.random.key(next(numbers)), shape)
        self.weights = jax.tree.map(make, shapes(self.config), is_leaf=lambda node: isinstance(node, tuple))
        jax.block_until_ready(self.weights)
        self.step = jax.jit(partial(forward, self.config), donate_argnums=1)

    def versions(self):
        return {"jax": jax.__version__}

    def measure(self, batch, prompt, generated, repetitions):
        capacity = -(-(prompt + generated + 1) // CACHE_STEP) * CACHE_STEP
        chunk = self.chunk(batch, prompt, capacity)
        ids = jax.random.randint(jax.random.key(0), (batch, prompt), 256 % self.config["vocab_size"], self.config["vocab_size"])
        compile_s, _ = cells.timed(lambda: self.run(batch, capacity, ids, chunk, 1))
        prefills, decodes = [], []
        for _ in range(repetitions):
            prefill_s, decode_s = self.run(batch, capacity, ids, chunk, generated)
            prefills.append(prefill_s)
            decodes.append(decode_s)
        notes = None if chunk == prompt else f"prompts in chunks of {chunk}"
        return compile_s, cells.mean(prefills), cells.mean(decodes), notes

    def chunk(self, batch, prompt, capacity):
        """Tokens of a prompt that are read in one step: all, unless their scores would take too much."""
        score_bytes = 4 * batch * self.config["num_attention_heads"] * capacity
        chunk = prompt
        while chunk % 2 == 0 and chunk * score_bytes > SCORE_BYTES:
            chunk //= 2
        return chunk

    def run(self, batch, capacity, ids, chunk, generated):
        shape = (batch, self.config["num_key_value_heads"], capacity, self.config["head_dim"])
        cache = [(jnp.zeros(shape, jnp.bfloat16), jnp.zeros(shape, jnp.bfloat16)) for _ in self.weights["layers"]]
        jax.block_until_ready(cache)
        started = time.perf_counter()
        for start in range(0, ids.shape[1], chunk):
            token, cache = self.step(self.weights, cache, ids[:, start : start + chunk], start)
        token.block_until_ready()
        read = time.perf_counter()
        # The host does not wait for a token before it starts the next step.
        for position in range(ids.shape[1], ids.shape[1] + generated):
            token, cache = self.step(self.weights, cache, token, position)
        token.block_until_ready()
        return read - started, time.perf_counter() - read


cells.run(Model)
