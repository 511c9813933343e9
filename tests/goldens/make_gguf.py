#!/usr/bin/env python3
"""Write the GGUF goldens: blocks of every type and what ggml's Python package decodes them to, and a model of them.

    python make_gguf.py     rewrite gguf-blocks and gguf-mixed

Needs requirements-gguf.txt beside requirements.txt. README.md says what the files hold.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

import chat
import oracle
import reference
from cases import BOS, EOS, PAD, UNK, Case
from checkpoints import published_config, random_weights, write_json
from make_goldens import (
    AGREEMENT,
    LEAST_EFFECT,
    greedy_golden,
    max_abs_error,
    negative_log_likelihood,
    random_tokens,
)

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Layout:
    """Where a block has its scale and, in types that have one, the factor of its least values; and how large the
    latter must be, in terms of the former, for weights to have a mean near zero."""

    scale: int
    least: int | None = None
    least_per_scale: float = 0.0


LAYOUTS = {
    Type.Q4_0: Layout(0),
    Type.Q4_1: Layout(0, 2, -7.5),
    Type.Q5_0: Layout(0),
    Type.Q5_1: Layout(0, 2, -15.5),
    Type.Q8_0: Layout(0),
    Type.Q2_K: Layout(80, 82, 1.5),
    Type.Q3_K: Layout(108),
    Type.Q4_K: Layout(0, 2, 7.5),
    Type.Q5_K: Layout(0, 2, 15.5),
    Type.Q6_K: Layout(208),
    Type.IQ4_NL: Layout(0),
    Type.IQ4_XS: Layout(0),
}
BLOCKS_OF_EACH = 5

CASE = Case(
    name="gguf-mixed",
    about="Gemma 2 as a GGUF file with weights of every type that is read, a vocabulary and a chat template",
    family="gemma2",
    hidden_size=256,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=32,
    vocab_size=chat.CHAT_VOCAB_SIZE,
    query_pre_attn_scalar=32,
    attn_logit_softcapping=5.0,
    final_logit_softcapping=30.0,
    sliding_window=9,
    embedding_std=0.39,
    sequence_lengths=(1, 9, 10, 31),
    greedy_lengths=((2, 24), (13, 24)),
    seed=31,
)

# By Hugging Face's name, without the layer. Rows of 256 take every type; those of `o_proj` (64) and `down_proj` (96)
# only types with blocks of 32.
EMBEDDING_TYPE = Type.Q6_K
LAYER_TYPES = (
    {
        "q_proj": Type.Q4_K,
        "k_proj": Type.Q5_K,
        "v_proj": Type.Q6_K,
        "o_proj": Type.Q8_0,
        "gate_proj": Type.Q3_K,
        "up_proj": Type.Q2_K,
        "down_proj": Type.Q4_0,
    },
    {
        "q_proj": Type.IQ4_XS,
        "k_proj": Type.F16,
        "v_proj": Type.BF16,
        "o_proj": Type.Q5_1,
        "gate_proj": Type.Q4_1,
        "up_proj": Type.IQ4_NL,
        "down_proj": Type.Q5_0,
    },
)
GGUF_NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}
TEXTS = (*chat.TEXTS, "what is the capital of the country", "  then   the\t\tother\n\n dog 🦊")


def noise(rng: np.random.Generator, kind: Type, blocks: int, scales: np.ndarray) -> np.ndarray:
    """Blocks of random bits `[blocks, bytes]` with the given scales."""
    layout = LAYOUTS[kind]
    data = rng.integers(0, 256, (blocks, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    put_half(data, layout.scale, scales)
    if layout.least is not None:
        put_half(data, layout.least, scales * layout.least_per_scale)
    return data


def put_half(blocks: np.ndarray, at: int, values: np.ndarray) -> None:
    blocks[:, at : at + 2] = values.astype("<f2").reshape(-1, 1).view(np.uint8)


def write_blocks(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    rng = np.random.default_rng(30)
    tensors = {}
    for kind in LAYOUTS:
        scales = rng.uniform(0.001, 2.0, BLOCKS_OF_EACH) * rng.choice([-1, 1], BLOCKS_OF_EACH)
        blocks = noise(rng, kind, BLOCKS_OF_EACH, scales)
        tensors[f"{kind.name}.blocks"] = blocks
        tensors[f"{kind.name}.values"] = gguf.quants.dequantize(blocks, kind).astype(np.float32)
    save_file(tensors, directory / "blocks.safetensors")


def encode(rng: np.random.Generator, weight: np.ndarray, kind: Type) -> np.ndarray:
    """`weight` in a type that the package can quantize to; else random bits of the same deviation."""
    weight = weight.astype(np.float32)
    try:
        return gguf.quants.quantize(weight, kind)
    except NotImplementedError:
        rows, columns = weight.shape
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = rows * columns // elements
        deviation = gguf.quants.dequantize(noise(rng, kind, blocks, np.ones(blocks)), kind).std()
        scales = rng.uniform(0.8, 1.2, blocks) * weight.std() / deviation
        return noise(rng, kind, blocks, scales).reshape(rows, columns // elements * size)


def gguf_name(name: str) -> str:
    parts = name.split(".")
    module = GGUF_NAMES[parts[-2]]
    return f"blk.{parts[2]}.{module}.weight" if parts[1] == "layers" else f"{module}.weight"


def type_of(name: str) -> Type:
    parts = name.split(".")
    return LAYER_TYPES[int(parts[2])][parts[-2]] if parts[1] == "layers" else EMBEDDING_TYPE


def write_model(directory: Path) -> dict[str, np.ndarray]:
    """Writes `model.gguf` and returns the weights that it stands for, under Hugging Face's names."""
    rng = np.random.default_rng([CASE.seed, 2])
    writer = gguf.GGUFWriter(directory / "model.gguf", "gemma2")
    writer.add_name("mixed")
    writer.add_context_length(CASE.max_position_embeddings)
    writer.add_embedding_length(CASE.hidden_size)
    writer.add_block_count(CASE.num_hidden_layers)
    writer.add_feed_forward_length(CASE.intermediate_size)
    writer.add_head_count(CASE.num_attention_heads)
    writer.add_head_count_kv(CASE.num_key_value_heads)
    writer.add_layer_norm_rms_eps(CASE.rms_norm_eps)
    writer.add_key_length(CASE.head_dim)
    writer.add_value_length(CASE.head_dim)
    writer.add_attn_logit_softcapping(CASE.attn_logit_softcapping)
    writer.add_final_logit_softcapping(CASE.final_logit_softcapping)
    writer.add_sliding_window(CASE.sliding_window)
    write_vocabulary(writer)
    weights = {}
    for name, weight in random_weights(CASE).items():
        if weight.ndim == 1:
            stored = (weight + 1).astype(np.float32)
            weights[name] = stored.astype(np.float64) - 1
            writer.add_tensor(gguf_name(name), stored)
        else:
            kind = type_of(name)
            stored = encode(rng, weight, kind)
            weights[name] = gguf.quants.dequantize(stored, kind).astype(np.float64)
            writer.add_tensor(gguf_name(name), stored, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def write_vocabulary(writer: gguf.GGUFWriter) -> None:
    """The chat goldens' tokenizer as llama.cpp's converter writes a SentencePiece vocabulary."""
    tokenizer = json.loads(chat.build_tokenizer(CASE.vocab_size).to_str())
    ranks = {"".join(pair): rank for rank, pair in reversed(list(enumerate(tokenizer["model"]["merges"])))}
    special = {token["content"] for token in tokenizer["added_tokens"]}
    pieces = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    types, scores = [], []
    for piece in pieces:
        if piece in special:
            types.append(gguf.TokenType.UNKNOWN if piece == chat.SPECIAL[UNK] else gguf.TokenType.CONTROL)
        elif piece.startswith("<0x"):
            types.append(gguf.TokenType.BYTE)
        else:
            types.append(gguf.TokenType.NORMAL)
        scores.append(-1000.0 if piece in special else -float(ranks.get(piece, len(ranks))))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_unk_token_id(UNK)
    writer.add_pad_token_id(PAD)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(chat.TEMPLATE)


def write_case(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    weights = write_model(directory)
    rng = np.random.default_rng([CASE.seed, 1])
    sequences = [random_tokens(rng, CASE, length) for length in CASE.sequence_lengths]
    with tempfile.TemporaryDirectory() as scratch:
        write_json(Path(scratch) / "config.json", published_config(CASE))
        tensors = {name: torch.from_numpy(weight) for name, weight in weights.items()}
        save_torch_file(tensors, Path(scratch) / "model.safetensors", metadata={"format": "pt"})
        model = oracle.load_float64(Path(scratch))
        with oracle.float64_throughout():
            expected = [oracle.logits(model, tokens) for tokens in sequences]
            greedy = [greedy_golden(model, rng, CASE, *lengths) for lengths in CASE.greedy_lengths]

    def error(numerics: reference.Numerics) -> float:
        return max_abs_error((reference.forward(weights, CASE, numerics, s) for s in sequences), expected)

    if not (disagreement := error(reference.correct(CASE))) < AGREEMENT:
        raise RuntimeError(f"transformers and the numpy forward differ by {disagreement:.3g}")
    effects = {name: error(numerics) for name, numerics in reference.mistakes(CASE).items()}
    # Here the two are one: the file says nothing else of the query scale.
    del effects["query scale from head_dim"]
    if hidden := {name: effect for name, effect in effects.items() if not effect > LEAST_EFFECT}:
        raise RuntimeError(f"mistakes that this golden would not show: {hidden}")

    tensors = {}
    for i, (tokens, logits) in enumerate(zip(sequences, expected, strict=True)):
        tensors[f"tokens.{i}"] = tokens.astype(np.int32)
        tensors[f"logits.{i}"] = logits.astype(np.float32)
        tensors[f"nll.{i}"] = negative_log_likelihood(logits, tokens).astype(np.float32)
    save_file(tensors, directory / "golden.safetensors")
    tokenizer = chat.build_tokenizer(CASE.vocab_size)
    summary = {
        "case": CASE.name,
        "about": CASE.about,
        "seed": CASE.seed,
        "sequence_lengths": CASE.sequence_lengths,
        "logits_std": float(np.concatenate(expected).std()),
        "greedy": greedy,
        "effect_of_mistake": effects,
        "texts": [{"text": text, "token_ids": tokenizer.encode(text).ids} for text in TEXTS],
    }
    write_json(directory / "golden.json", summary)


def main() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    write_blocks(HERE / "gguf-blocks")
    write_case(HERE / CASE.name)
    for directory in ("gguf-blocks", CASE.name):
        for path in (HERE / directory).iterdir():
            path.chmod(0o644)  # safetensors writes for its owner alone


if __name__ == "__main__":
    main()
