//! Reading a program of unknown form.

use crate::error::ReadError;
use crate::module::Module;

impl Module {
    /// Reads a program in whatever form it is in: HLO text, a serialized `HloModuleProto`, or one within an
    /// `HloModuleProtoWithConfig` or XLA's `HloProto`, which begin alike.
    ///
    /// # Errors
    /// As [`Module::from_text`] for what is text, and [`Module::from_proto`] for what is not.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        match std::str::from_utf8(bytes) {
            // Tags and lengths of a protocol buffer are control characters.
            Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => {
                Self::from_text(text)
            }
            _ => Self::from_proto_of_either_kind(bytes),
        }
    }
}
