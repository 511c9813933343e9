"""transformers on torch, in bf16, as its documentation loads a model."""

import protocol


class Model:
    def __init__(self, request):
        import torch
        import transformers

        self.torch, self.transformers = torch, transformers
        torch.set_num_threads(request["threads"])
        torch.set_grad_enabled(False)
        # "eager" is the implementation that applies Gemma 2's softcap to the scores.
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            request["checkpoint"], dtype=torch.bfloat16, attn_implementation="eager"
        ).eval()

    def prefill(self, ids):
        self.cache = self.transformers.DynamicCache(config=self.model.config)
        return self._forward([ids])

    def step(self, token):
        return self._forward([[token]])

    def _forward(self, ids):
        answer = self.model(
            input_ids=self.torch.tensor(ids), past_key_values=self.cache, use_cache=True, logits_to_keep=1
        )
        self.logits = answer.logits[0, -1]
        return self.logits.argmax()

    def last_logits(self):
        return self.logits.float().numpy()

    def about(self):
        # A tied embedding is one parameter here.
        weights = sum(parameter.nbytes for parameter in self.model.parameters())
        versions = {"transformers": self.transformers.__version__, "torch": self.torch.__version__}
        return {"versions": versions, "weight_bytes": weights}


protocol.run(Model)
