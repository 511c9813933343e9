//! The CPU kernels as custom calls.

mod attention;
mod cache;
mod linear;
mod quantized;
mod rows;

use crate::{Plugin, Result};

pub use attention::Attention;
pub use cache::CacheWrite;
pub use lapidary_kernels::{Features, Instructions};
pub use linear::Linear;
pub use quantized::QuantizedLinear;
pub use rows::{Geglu, ResidualAdd, RmsNorm, Rope};

impl Plugin {
    /// Makes all kernels for host memory known to the plugin; see
    /// [`register_custom_call`](Plugin::register_custom_call). Doing so again changes nothing.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Error::Unsupported) if the plugin does not take custom calls, and its own error if it
    /// refuses one.
    pub fn register_kernels(&self) -> Result<()> {
        self.register_custom_call::<Linear>()?;
        self.register_custom_call::<QuantizedLinear>()?;
        self.register_custom_call::<Attention>()?;
        self.register_custom_call::<CacheWrite>()?;
        self.register_custom_call::<RmsNorm>()?;
        self.register_custom_call::<Rope>()?;
        self.register_custom_call::<Geglu>()?;
        self.register_custom_call::<ResidualAdd>()
    }
}
