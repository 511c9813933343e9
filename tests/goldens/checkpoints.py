"""Random checkpoints in Hugging Face form."""

import json
import re
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig

from cases import BOS, EOS, PAD, Case

# Spread of 1 + w around its mean. Wide enough that reading w for 1 + w, or rounding 1 + w, is a gross error.
NORM_STD = 0.3


def write_checkpoint(case: Case, directory: Path) -> None:
    """Writes `config.json` and the weights of `case`."""
    weights = {name: to_disk_dtype(w, case) for name, w in random_weights(case).items()}
    if case.config_style == "current":
        model = AutoModelForCausalLM.from_config(current_config(case), dtype=getattr(torch, case.dtype))
        missing, unexpected = model.load_state_dict(weights, strict=False)
        if set(missing) - {"lm_head.weight"} or unexpected:
            raise RuntimeError(f"{case.name}: missing {missing}, unexpected {unexpected}")
        model.tie_weights()
        model.save_pretrained(directory, max_shard_size=case.max_shard_size or "1GB")
    else:
        write_json(directory / "config.json", published_config(case))
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


def current_config(case: Case) -> PreTrainedConfig:
    """The configuration that transformers writes in its own style: none of the keys that it has replaced."""
    replaced = {"cache_implementation", "hidden_act", "rope_theta", "torch_dtype", "transformers_version"}
    config = {key: value for key, value in published_config(case).items() if key not in replaced}
    rope = {"rope_theta": case.rope_theta, "rope_type": "default"}
    return AutoConfig.for_model(rope_parameters=rope, **config)


def published_config(case: Case) -> dict:
    """`config.json` with the keys, and the key order, of google/gemma-2b and google/gemma-2-2b."""
    config = {
        "architectures": ["Gemma2ForCausalLM" if case.is_gemma2 else "GemmaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attn_logit_softcapping": case.attn_logit_softcapping,
        "bos_token_id": BOS,
        "cache_implementation": "hybrid" if case.is_gemma2 else None,
        "eos_token_id": EOS,
        "final_logit_softcapping": case.final_logit_softcapping,
        "head_dim": case.head_dim,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh" if case.is_gemma2 else None,
        "hidden_size": case.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": case.intermediate_size,
        "max_position_embeddings": case.max_position_embeddings,
        "model_type": case.family,
        "num_attention_heads": case.num_attention_heads,
        "num_hidden_layers": case.num_hidden_layers,
        "num_key_value_heads": case.num_key_value_heads,
        "pad_token_id": PAD,
        "query_pre_attn_scalar": case.query_pre_attn_scalar,
        "rms_norm_eps": case.rms_norm_eps,
        "rope_theta": case.rope_theta,
        "sliding_window": case.sliding_window,
        "torch_dtype": case.dtype,
        "transformers_version": "4.42.4" if case.is_gemma2 else "4.38.0.dev0",
        "use_cache": True,
        "vocab_size": case.vocab_size,
    }
    # A Gemma 1 file does not mention Gemma 2's keys at all.
    config = {key: value for key, value in config.items() if value is not None}
    return config | case.config_overrides


def random_weights(case: Case) -> dict[str, np.ndarray]:
    """Weights under their Hugging Face names, scaled so that every part of the model matters to the logits."""
    rng = np.random.default_rng(case.seed)
    d, f, h = case.hidden_size, case.intermediate_size, case.head_dim
    query_width, kv_width = case.num_attention_heads * h, case.num_key_value_heads * h

    def matrix(rows: int, columns: int, gain: float = 1.0) -> np.ndarray:
        """Maps inputs of unit variance to outputs of deviation `gain`."""
        return rng.standard_normal((rows, columns)) * (gain / columns**0.5)

    def norm(mean: float = 0.0) -> np.ndarray:
        return mean + NORM_STD * rng.standard_normal(d)

    # A score is a sum of `h` products of a query and a key element, times the query scale.
    qk_gain = (case.score_std / (case.query_scale * h**0.5)) ** 0.5
    # Each branch adds a fixed part of the scaled embedding's deviation: less would hide the branches from the
    # logits, more would make f32 rounding grow from layer to layer. Gemma 2 sets a branch's size in its
    # post-norm, Gemma 1 in its output projection (where the averaging of values in attention makes it less).
    branch = (0.25 if case.is_gemma2 else 0.6) * case.embedding_std * d**0.5
    output_gain = 1.0 if case.is_gemma2 else branch

    weights = {"model.embed_tokens.weight": rng.standard_normal((case.vocab_size, d)) * case.embedding_std}
    for layer in range(case.num_hidden_layers):
        prefix = f"model.layers.{layer}"
        weights |= {
            f"{prefix}.self_attn.q_proj.weight": matrix(query_width, d, qk_gain),
            f"{prefix}.self_attn.k_proj.weight": matrix(kv_width, d, qk_gain),
            f"{prefix}.self_attn.v_proj.weight": matrix(kv_width, d),
            f"{prefix}.self_attn.o_proj.weight": matrix(d, query_width, output_gain),
            f"{prefix}.mlp.gate_proj.weight": matrix(f, d),
            f"{prefix}.mlp.up_proj.weight": matrix(f, d),
            f"{prefix}.mlp.down_proj.weight": matrix(d, f, output_gain),
            f"{prefix}.input_layernorm.weight": norm(),
        }
        if case.is_gemma2:
            weights |= {
                f"{prefix}.post_attention_layernorm.weight": norm(mean=branch - 1),
                f"{prefix}.pre_feedforward_layernorm.weight": norm(),
                f"{prefix}.post_feedforward_layernorm.weight": norm(mean=branch - 1),
            }
        else:
            weights[f"{prefix}.post_attention_layernorm.weight"] = norm()
    # Random signs of 1 + w in the last norm: the embedding is tied, and without them every token's likeliest
    # successor would be itself.
    weights["model.norm.weight"] = (1 + norm()) * rng.choice([-1.0, 1.0], d) - 1
    return weights


def to_disk_dtype(weight: np.ndarray, case: Case) -> torch.Tensor:
    return torch.from_numpy(weight).to(getattr(torch, case.dtype))


def write_json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # Lists of integers on one line.
    text = re.sub(r"\[[\s\d,-]+\]", lambda numbers: " ".join(numbers[0].split()), text)
    path.write_text(text + "\n", encoding="utf-8")
