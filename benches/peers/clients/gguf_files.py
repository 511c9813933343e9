"""Writes the GGUF files that llama.cpp reads: `gguf_files.py CHECKPOINT OUT.gguf [TYPE]`.

Without a type, the checkpoint's bf16 as it is; with `q8_0` or `q4_0`, what llama.cpp's own quantizer makes of that file,
which must be there. The file has no tokenizer: clients feed ids.
"""

import json
import pathlib
import sys

import numpy as np

# `llama_ftype`: most tensors in this type, and the others as llama.cpp sees fit.
FILE_TYPES = {"q8_0": 7, "q4_0": 2}


def stored_tensors(checkpoint):
    """Name, element type, shape and mapped bytes of each tensor of a safetensors checkpoint."""
    for path in sorted(checkpoint.glob("*.safetensors")):
        data = np.memmap(path, mode="r", dtype=np.uint8)
        size = int(data[:8].view("<u8")[0])
        header = json.loads(data[8 : 8 + size].tobytes())
        for name, entry in header.items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                yield name, entry["dtype"], entry["shape"], data[8 + size + begin : 8 + size + end]


def convert(checkpoint, out):
    import gguf

    config = json.loads((checkpoint / "config.json").read_text())
    arch = gguf.MODEL_ARCH.GEMMA2
    layers = config["num_hidden_layers"]
    writer = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_name("random weights")
    writer.add_block_count(layers)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    writer.add_sliding_window(config["sliding_window"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(config["vocab_size"])
    names = gguf.get_tensor_name_map(arch, layers)
    for name, dtype, shape, data in stored_tensors(checkpoint):
        if dtype != "BF16":
            raise SystemExit(f"{name} is {dtype}: make the checkpoint in bf16")
        target = names.get_name(name, try_suffixes=(".weight",))
        if target is None:
            raise SystemExit(f"llama.cpp's Gemma 2 has no tensor for {name}")
        if len(shape) == 1:
            # llama.cpp multiplies by what is stored, Gemma by one more; both in f32.
            weight = (data.view("<u2").astype("<u4") << 16).view("<f4") + np.float32(1)
            writer.add_tensor(target, weight)
        else:
            rows = data.reshape(*shape[:-1], shape[-1] * 2)
            writer.add_tensor(target, rows, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(source, out, kind):
    import ctypes

    import llama_cpp

    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = FILE_TYPES[kind]
    failed = llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(options))
    if failed:
        raise SystemExit(f"llama.cpp's quantizer answers {failed}")


def main():
    source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    # A file appears when it is complete: a run that was cut leaves none that looks finished.
    beside = out.with_suffix(".part")
    if len(sys.argv) > 3:
        quantize(source, beside, sys.argv[3])
    else:
        convert(source, beside)
    beside.rename(out)


main()
