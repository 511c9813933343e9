"""Plain JAX: one jitted function, the KV cache donated, random weights made on the device."""

import os
import pathlib
import sys
import time
from functools import partial

# As Lapidary does: memory is taken as it is needed, up to the same share.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.95")
# The model is that of the peers on CPUs.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "benches" / "peers" / "clients"))

import cells  # noqa: E402
import gemma_jax  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

# Scores of a prompt that is attended as a whole may take this much; of a longer one as many rows as do.
SCORE_BYTES = 4 << 30


def shapes(config):
    """Names and shapes of the weights."""
    hidden, heads, kv_heads = config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"]
    head_dim, wide = config["head_dim"], config["intermediate_size"]
    matrices = {
        "q": (heads * head_dim, hidden), "k": (kv_heads * head_dim, hidden), "v": (kv_heads * head_dim, hidden),
        "o": (hidden, heads * head_dim), "gate": (wide, hidden), "up": (wide, hidden), "down": (hidden, wide),
    }  # fmt: skip
    layer = {name: matrices.get(name, (hidden,)) for name in gemma_jax.LAYER}
    return {"embedding": (config["vocab_size"], hidden), "norm": (hidden,), "layers": [layer] * config["num_hidden_layers"]}


@partial(jax.jit, static_argnums=1)
def random_weight(key, shape):
    scale = shape[-1] ** -0.5 if len(shape) == 2 else 0.05
    return jax.random.normal(key, shape, jnp.bfloat16) * jnp.bfloat16(scale)


def likeliest(config, operands, weights, cache, ids, start):
    """The most likely token after each row, `[rows, 1]`, and the cache; attention is multiplied in `operands`."""
    logits, cache = gemma_jax.forward(config, operands, 1, weights, cache, ids, start)
    return jnp.argmax(logits, axis=-1, keepdims=True).astype(jnp.int32), cache


class Model:
    def __init__(self, request):
        self.config = gemma_jax.completed(request["config"])
        wanted = "cpu" if request["device"] == "cpu" else "gpu"
        if jax.default_backend() != wanted:
            sys.exit(f"JAX runs on {jax.default_backend()}, not on a {wanted}")
        numbers = iter(range(1 << 20))
        make = lambda shape: random_weight(jax.random.key(next(numbers)), shape)
        self.weights = jax.tree.map(make, shapes(self.config), is_leaf=lambda node: isinstance(node, tuple))
        jax.block_until_ready(self.weights)
        # A CPU, on which the script itself is tried, does not run batched products of bf16 with results in f32.
        operands = jnp.float32 if wanted == "cpu" else jnp.bfloat16
        self.step = jax.jit(partial(likeliest, self.config, operands), donate_argnums=1)

    def versions(self):
        return {"jax": jax.__version__}

    def measure(self, batch, prompt, generated, repetitions):
        capacity = gemma_jax.capacity(prompt + generated + 1)
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
        cache = gemma_jax.empty_cache(self.config, batch, capacity)
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
