//! CPU kernels: plain functions, slices in and slices out, that know nothing of graphs or plugins.
//!
//! Every kernel has a portable form, and faster ones that are chosen at run time by what the processor has
//! ([`Features`]). All of them accumulate in f32. Work is split over the threads of a [`Pool`].

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod cache;
mod dot;
mod exponential;
mod features;
mod linear;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pool;
mod quantized;
mod rows;
#[cfg(test)]
mod test_data;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub use attention::{
    AttentionError, AttentionNumbers, AttentionOperands, AttentionShape, KeyValues, attention,
};
pub use cache::{CacheWriteError, CacheWriteShape, cache_write};
pub use features::{Features, Instructions};
pub use linear::{LinearError, LinearResult, LinearShape, linear};
pub use pool::Pool;
pub use quantized::{Codes, EncodedWeight, QuantizedLinearError, Scales, quantized_linear};
pub use rows::{RmsNormShape, RopeShape, RopeTables, RowsError, geglu, residual_add, rms_norm, rope};
