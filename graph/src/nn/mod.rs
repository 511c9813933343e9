//! Neural-network compositions, written on the builder and made of primitive ops only.
//!
//! What some target may have a better kernel for is a composite: [`linear`], [`attention`], [`cache_write`], and what rows go
//! through between them: [`rms_norm`], [`rope`], [`geglu`] and [`residual_add`].

mod activation;
mod attention;
mod attention_blocks;
mod cache;
mod cache_half;
mod embed;
mod encoded;
mod encoded_product;
mod linear;
mod norm;
mod residual;
mod rope;
mod sampling;

pub use activation::{geglu, gelu_tanh, softcap};
pub use attention::{Attention, AttentionMask, KeyValueScales, KeyValues, attention};
pub use attention_blocks::{QUERY_BLOCK, keys_attended};
pub use cache::{CacheWrite, cache_in_order, cache_positions, cache_slots, cache_write};
pub use cache_half::{CacheHalf, CacheUpdate};
pub use embed::{embed, scale};
pub use encoded::{EncodedWeight, Weight};
pub use linear::linear;
pub use norm::rms_norm;
pub use residual::residual_add;
pub use rope::{RopeTables, rope, rope_tables};
pub use sampling::{
    SamplingRows, TopTokens, any, argmax, first_non_finite, gumbel, log_softmax, log_sum_exp,
    repetition_penalty, sample, see_token, seen_tokens, softmax, take, threefry_2x32, token_logit, top_k,
    top_logprobs,
};
