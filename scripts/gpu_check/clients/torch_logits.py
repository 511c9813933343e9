"""transformers' logits of a checkpoint in bf16, of every position: torch_logits.py CHECKPOINT IDS.json OUT.safetensors DEVICE"""

import json
import sys

import torch
import transformers
from safetensors.torch import save_file


def main():
    checkpoint, ids, out, device = sys.argv[1:]
    device = "cpu" if device == "cpu" else device
    if device != "cpu" and not torch.cuda.is_available():
        raise SystemExit("torch finds no GPU")
    torch.set_grad_enabled(False)
    # "eager" is the implementation that applies Gemma 2's softcap to the scores.
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16, attn_implementation="eager").eval().to(device)
    with open(ids) as file:
        sequences = json.load(file)
    logits = {
        f"logits.{number}": model(input_ids=torch.tensor([sequence], device=device)).logits[0].float().cpu().contiguous()
        for number, sequence in enumerate(sequences)
    }
    save_file(logits, out)


main()
