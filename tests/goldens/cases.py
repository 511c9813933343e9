"""The golden checkpoints: one entry of `CASES` for each directory, and what each is there to catch."""

from dataclasses import dataclass, field

PAD, EOS, BOS, UNK = 0, 1, 2, 3
START_OF_TURN, END_OF_TURN = 106, 107

# Ids that end a generation or that a sampler may rule out: no golden continuation contains one.
NOT_CONTINUED = (PAD, EOS, BOS, END_OF_TURN)


@dataclass(frozen=True)
class Case:
    """A tiny Gemma. Field names are those of Hugging Face's `config.json` where it has them."""

    name: str
    about: str
    family: str  # "gemma" | "gemma2"
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int = 211
    dtype: str = "float32"  # on disk
    # "published": config.json as Google's own repositories ship it. "current": as transformers 5 writes it.
    config_style: str = "published"
    # Keys of config.json that differ from the style's defaults.
    config_overrides: dict = field(default_factory=dict)
    max_shard_size: str | None = None  # None: a single model.safetensors
    with_tokenizer: bool = False
    max_position_embeddings: int = 256
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    # Gemma 2 only.
    query_pre_attn_scalar: int | None = None
    attn_logit_softcapping: float | None = None
    final_logit_softcapping: float | None = None
    sliding_window: int | None = None
    # Standard deviations that put logits near a deviation of 6 and scores where a softcap bites.
    embedding_std: float = 1.0
    score_std: float = 2.0
    # Lengths of the scored sequences, and (prompt length, new tokens) of the greedy continuations.
    sequence_lengths: tuple[int, ...] = (1, 2, 7, 8, 83)
    greedy_lengths: tuple[tuple[int, int], ...] = ((2, 40), (6, 33), (41, 24))
    seed: int = 1

    @property
    def is_gemma2(self) -> bool:
        return self.family == "gemma2"

    @property
    def query_scale(self) -> float:
        """What scores are multiplied by: Gemma 1 has no scalar of its own and uses head_dim."""
        return (self.query_pre_attn_scalar or self.head_dim) ** -0.5


CASES = (
    Case(
        name="gemma2-windowed",
        about="Gemma 2, f32: a prompt of twelve windows, softcaps that bite, grouped queries, odd sizes, "
        "head_dim, query_pre_attn_scalar and hidden_size / heads all different",
        family="gemma2",
        hidden_size=42,
        intermediate_size=53,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=12,
        query_pre_attn_scalar=9,
        attn_logit_softcapping=3.0,
        final_logit_softcapping=13.0,
        sliding_window=7,
        embedding_std=1.25,
        config_overrides={"eos_token_id": [EOS, END_OF_TURN]},
        seed=21,
    ),
    Case(
        name="gemma2-bf16",
        about="Gemma 2, bf16 on disk: float64 logits of those weights, and transformers' own bf16 run of them",
        family="gemma2",
        hidden_size=64,  # sqrt(64) is exact in bf16: the float64 reference does not hinge on its rounding
        intermediate_size=150,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=24,
        vocab_size=307,
        dtype="bfloat16",
        query_pre_attn_scalar=20,
        attn_logit_softcapping=5.0,
        final_logit_softcapping=30.0,
        sliding_window=9,
        embedding_std=0.78,
        sequence_lengths=(1, 9, 10, 33, 101),
        greedy_lengths=((2, 24), (37, 24)),
        seed=22,
    ),
    Case(
        name="gemma2-sharded",
        about="Gemma 2, f32 in several shards with an index, config.json as transformers 5 writes it "
        "(rope_parameters, layer_types, dtype), a tokenizer, real softcaps of 50 and 30",
        family="gemma2",
        hidden_size=40,
        intermediate_size=67,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=14,
        vocab_size=449,
        config_style="current",
        max_shard_size="90KB",
        with_tokenizer=True,
        query_pre_attn_scalar=11,
        attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0,
        sliding_window=8,
        embedding_std=0.98,
        sequence_lengths=(1, 8, 9, 85),
        greedy_lengths=((2, 32), (19, 24)),
        seed=23,
    ),
    Case(
        name="gemma1-mqa",
        about="Gemma 1 multi-query, f32, hidden_act and hidden_activation both given",
        family="gemma",
        hidden_size=45,
        intermediate_size=71,
        num_hidden_layers=3,
        num_attention_heads=5,
        num_key_value_heads=1,
        head_dim=14,
        config_overrides={"hidden_activation": "gelu_pytorch_tanh"},
        embedding_std=0.92,
        sequence_lengths=(1, 5, 67),
        greedy_lengths=((4, 24), (6, 33), (41, 24)),
        seed=11,
    ),
    Case(
        name="gemma1-mha",
        about='Gemma 1 multi-head, f32, the historic `hidden_act: "gelu"` (which has always meant the tanh form)',
        family="gemma",
        hidden_size=36,
        intermediate_size=61,
        num_hidden_layers=3,
        num_attention_heads=3,
        num_key_value_heads=3,
        head_dim=10,
        config_overrides={"hidden_act": "gelu", "hidden_activation": None, "rope_scaling": None},
        embedding_std=1.02,
        sequence_lengths=(1, 6, 71),
        greedy_lengths=((4, 24), (6, 33), (41, 24)),
        seed=12,
    ),
    Case(
        name="gemma1-f16",
        about="Gemma 1 multi-query, f16 on disk, config.json as transformers 5 writes it",
        family="gemma",
        hidden_size=34,
        intermediate_size=59,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=18,
        dtype="float16",
        config_style="current",
        embedding_std=1.05,
        sequence_lengths=(1, 4, 59),
        greedy_lengths=((5, 30),),
        seed=13,
    ),
)
