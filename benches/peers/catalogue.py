"""The peers: what each is called, what it needs, and how its client is started."""

import dataclasses

CONFIGS = {"gemma2-2b", "gemma2-9b"}


@dataclasses.dataclass(frozen=True)
class Peer:
    """One system in one element type."""

    name: str
    """What `--peers` calls it."""
    label: str
    """What the table calls it."""
    weights: str
    """Element type of its weights."""
    packages: tuple = ()
    """Packages of its client, of requirements.txt."""
    client: tuple = ()
    """Script among the clients, and its arguments after the request."""
    gguf: str = ""
    """Which GGUF file it reads."""
    candle: str = ""
    """Element type that the candle client is to run in."""
    memory: float = 1.0
    """Memory that it takes at most, as a multiple of the checkpoint's bytes: what must be free before it starts."""
    own: bool = False
    """Whether it is Lapidary, in one of its forms."""
    options: tuple = ()
    """What its commands are given beside the model."""
    quantized: str = ""
    """What `lapidary quantize` makes of the checkpoint for it."""


LAPIDARY = Peer("lapidary", "Lapidary", "bf16", own=True, memory=1.5)

PEERS = (
    Peer("lapidary-plugin", "Lapidary, `--kernels off`", "bf16", own=True, options=("--kernels", "off"), memory=1.5),
    Peer("lapidary-int8", "Lapidary", "int8", own=True, quantized="int8", memory=1.0),
    Peer("lapidary-int4", "Lapidary", "int4", own=True, quantized="int4", memory=0.8),
    Peer("torch", "transformers + torch", "bf16", ("torch", "transformers", "safetensors"), ("torch_client.py",), memory=1.4),
    Peer("llama-bf16", "llama.cpp", "bf16", ("llama-cpp-python", "numpy", "gguf"), ("llama_client.py",), gguf="bf16", memory=1.3),
    Peer("llama-q8_0", "llama.cpp", "Q8_0", ("llama-cpp-python", "numpy", "gguf"), ("llama_client.py",), gguf="q8_0", memory=1.3),
    Peer("llama-q4_0", "llama.cpp", "Q4_0", ("llama-cpp-python", "numpy", "gguf"), ("llama_client.py",), gguf="q4_0", memory=1.0),
    Peer("candle-f16", "candle", "f16", candle="f16", memory=2.2),
    Peer("candle-f32", "candle", "f32", candle="f32", memory=3.2),
    Peer("jax", "JAX", "bf16", ("jax", "numpy"), ("jax_client.py",), memory=2.2),
    Peer("jax-rows16", "JAX, rows padded to 16", "bf16", ("jax", "numpy"), ("jax_client.py", "--rows", "16"), memory=2.2),
)


def named(names):
    """The peers that a list of names asks for, in the catalogue's order."""
    unknown = sorted(set(names) - {peer.name for peer in PEERS})
    if unknown:
        known = ", ".join(peer.name for peer in PEERS)
        raise SystemExit(f"no peer is called {', '.join(unknown)}; there are {known}")
    return [peer for peer in PEERS if peer.name in names]
