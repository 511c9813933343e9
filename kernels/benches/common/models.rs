//! Sizes of the models.

/// A model. Source: `models/src/config/named.rs`.
pub struct Model {
    pub name: &'static str,
    pub hidden: usize,
    pub ffn: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
}

/// All of them.
pub const MODELS: [Model; 5] = [
    Model { name: "gemma-2b", hidden: 2048, ffn: 16_384, heads: 8, kv_heads: 1, head_dim: 256 },
    Model { name: "gemma-7b", hidden: 3072, ffn: 24_576, heads: 16, kv_heads: 16, head_dim: 256 },
    Model { name: "gemma2-2b", hidden: 2304, ffn: 9216, heads: 8, kv_heads: 4, head_dim: 256 },
    Model { name: "gemma2-9b", hidden: 3584, ffn: 14_336, heads: 16, kv_heads: 8, head_dim: 256 },
    Model { name: "gemma2-27b", hidden: 4608, ffn: 36_864, heads: 32, kv_heads: 16, head_dim: 128 },
];

/// Tokens that each of them knows.
const VOCABULARY: usize = 256_000;

/// Elements of the largest weight: the embedding of 27B.
pub const LARGEST_WEIGHT: usize = VOCABULARY * 4608;

/// A weight `[outputs, inputs]`.
pub struct Projection {
    /// Of the model and of what it is in there, such as `gemma2-2b q`.
    pub name: String,
    pub outputs: usize,
    pub inputs: usize,
}

/// The weights of all models, those of one name and size once.
pub fn projections() -> Vec<Projection> {
    MODELS.iter().flat_map(Model::projections).collect()
}

impl Model {
    fn projections(&self) -> [Projection; 6] {
        let Self { hidden, ffn, heads, kv_heads, head_dim, .. } = *self;
        let of =
            |name, outputs, inputs| Projection { name: format!("{} {name}", self.name), outputs, inputs };
        [
            of("q", heads * head_dim, hidden),
            of("k, v", kv_heads * head_dim, hidden),
            of("o", hidden, heads * head_dim),
            of("gate, up", ffn, hidden),
            of("down", hidden, ffn),
            of("embedding", VOCABULARY, hidden),
        ]
    }

    /// Query heads that share a head of the cache.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}
