"""llama.cpp through llama-cpp-python's ctypes API: the calls that its own llama-bench makes."""

import importlib.metadata

import llama_cpp
import numpy as np
import protocol

CONTEXT = 1024


class Model:
    def __init__(self, request):
        llama_cpp.llama_backend_init()
        self.vocab = request["vocab"]
        path = request["gguf"].encode()
        options = llama_cpp.llama_model_default_params()
        options.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(path, options)
        if not self.model:
            raise SystemExit(f"llama.cpp does not load {request['gguf']}")
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = max(CONTEXT, len(request["prompt"]) + request["decode_tokens"] + 1)
        options.n_batch = options.n_ubatch = len(request["prompt"])
        options.n_threads = options.n_threads_batch = request["threads"]
        self.context = llama_cpp.llama_init_from_model(self.model, options)
        if not self.context:
            raise SystemExit("llama.cpp makes no context")

    def prefill(self, ids):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        return self._decode(ids)

    def step(self, token):
        return self._decode([token])

    def _decode(self, ids):
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        failed = llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(tokens, len(ids)))
        if failed:
            raise SystemExit(f"llama_decode answers {failed}")
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)
        self.logits = np.ctypeslib.as_array(logits, shape=(self.vocab,))
        return self.logits.argmax()

    def last_logits(self):
        return self.logits

    def about(self):
        return {
            "versions": {"llama-cpp-python": importlib.metadata.version("llama-cpp-python")},
            "weight_bytes": llama_cpp.llama_model_size(self.model),
            "build": llama_cpp.llama_print_system_info().decode(),
        }


protocol.run(Model)
