"""Gemma 2 in plain JAX: one jitted function, the KV cache donated.

`--rows N` pads the rows of every product to N at least. On CPUs XLA makes a product of one row a matrix-vector loop of
its own, into which it pulls the operations before it; a few rows more keep it a call of the matrix library.
"""

import json
import pathlib
import sys
from functools import partial

import gemma_jax
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import protocol

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


def weights(tensors, config):
    """The tensors as the model takes them, on the device."""
    layer = lambda number: {
        name: jnp.asarray(tensors[f"model.layers.{number}.{stored}.weight"]) for name, stored in gemma_jax.LAYER.items()
    }
    return {
        "embedding": jnp.asarray(tensors["model.embed_tokens.weight"]),
        "norm": jnp.asarray(tensors["model.norm.weight"]),
        "layers": [layer(number) for number in range(config["num_hidden_layers"])],
    }


def step(config, least_tokens, weights, cache, ids, start):
    """Logits `[vocab]` of the last of ids `[1, tokens]`, the most likely token, and the cache.

    Attention is multiplied in f32: jaxlib's CPU client does not run batched products of bf16 with results in f32.
    """
    logits, cache = gemma_jax.forward(config, jnp.float32, least_tokens, weights, cache, ids, start)
    return logits[0], jnp.argmax(logits[0]), cache


class Model:
    def __init__(self, request):
        # Later starts compile nothing, as Lapidary's do not.
        jax.config.update("jax_compilation_cache_dir", request["jax_cache"])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        directory = pathlib.Path(request["checkpoint"])
        self.config = gemma_jax.completed(json.loads((directory / "config.json").read_text()))
        rows = int(sys.argv[sys.argv.index("--rows") + 1]) if "--rows" in sys.argv else 1
        self.weights = weights(read_checkpoint(directory), self.config)
        jax.block_until_ready(self.weights)
        self.step_program = jax.jit(partial(step, self.config, rows), donate_argnums=1)
        self.capacity = gemma_jax.capacity(len(request["prompt"]) + request["decode_tokens"] + 1)

    def prefill(self, ids):
        self.cache = gemma_jax.empty_cache(self.config, 1, self.capacity)
        self.length = 0
        return self._forward(ids)

    def step(self, token):
        return self._forward([token])

    def _forward(self, ids):
        ids = jnp.asarray([ids], jnp.int32)
        self.logits, token, self.cache = self.step_program(self.weights, self.cache, ids, self.length)
        self.length += ids.shape[1]
        return int(token)

    def last_logits(self):
        return np.asarray(self.logits)

    def about(self):
        weights = sum(weight.nbytes for weight in jax.tree.leaves(self.weights))
        return {"versions": {"jax": jax.__version__}, "weight_bytes": weights}


protocol.run(Model)
