"""transformers' Gemma 2 in bf16 with random weights made on the card: a static cache, decode through torch.compile."""

import time

import cells
import torch
import transformers


class Model:
    def __init__(self, request):
        self.device = "cpu" if request["device"] == "cpu" else "cuda"
        if self.device == "cuda" and not torch.cuda.is_available():
            raise SystemExit("torch finds no GPU")
        torch.set_grad_enabled(False)
        torch.manual_seed(0)
        self.config = transformers.Gemma2Config.from_dict(request["config"])
        # "eager" is the implementation that applies the softcap to the scores.
        with torch.device(self.device):
            self.model = transformers.AutoModelForCausalLM.from_config(self.config, dtype=torch.bfloat16, attn_implementation="eager").eval()
        self.compiled = torch.compile(self.model, mode="reduce-overhead", fullgraph=True)

    def versions(self):
        return {"torch": torch.__version__, "transformers": transformers.__version__}

    def measure(self, batch, prompt, generated, repetitions):
        if self.device == "cuda":
            torch.cuda.empty_cache()
        self.cache = transformers.StaticCache(config=self.config, max_cache_len=prompt + generated + 1)
        ids = torch.randint(256 % self.config.vocab_size, self.config.vocab_size, (batch, prompt), device=self.device)
        decode, notes = self.compiled, None
        started = time.perf_counter()
        try:
            # Graphs are captured on the second and third run of a step.
            self.run(decode, ids, 3)
        except Exception as error:  # noqa: BLE001 (whatever the compiler does not take)
            decode, notes = self.model, f"without torch.compile: {type(error).__name__}"
            self.run(decode, ids, 1)
        compile_s = time.perf_counter() - started
        times = [self.run(decode, ids, generated) for _ in range(repetitions)]
        return compile_s, cells.mean([prefill for prefill, _ in times]), cells.mean([made for _, made in times]), notes

    def run(self, decode, ids, generated):
        self.cache.reset()
        self.wait()
        started = time.perf_counter()
        token = self.step(self.model, ids, torch.arange(ids.shape[1], device=self.device))
        self.wait()
        read = time.perf_counter()
        position = torch.tensor([ids.shape[1]], device=self.device)
        for _ in range(generated):
            token = self.step(decode, token, position)
            position = position + 1
        self.wait()
        return read - started, time.perf_counter() - read

    def step(self, model, ids, positions):
        answer = model(input_ids=ids, past_key_values=self.cache, cache_position=positions, position_ids=positions[None], use_cache=True, logits_to_keep=1)
        # The next replay of a graph writes over what this one gave.
        return answer.logits[:, -1:].argmax(-1).clone()

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()


cells.run(Model)
