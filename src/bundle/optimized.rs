//! The program as the compiler has optimized it, as files.

use std::fs;
use std::path::{Path, PathBuf};

use lapidary_runtime::OptimizedProgram;
use prost::Message;

/// The `HloModuleProto` of a program; `None` if it is in another form.
pub(super) fn hlo_module(program: OptimizedProgram) -> Option<Vec<u8>> {
    match program.format.as_str() {
        "hlo" => Some(program.code),
        "hlo_with_config" => HloModuleProtoWithConfig::decode(program.code.as_slice()).ok()?.hlo_module,
        _ => None,
    }
}

/// The message of `xla/service/hlo.proto` with a module that is not looked into, and so loses nothing.
#[derive(Clone, PartialEq, Message)]
struct HloModuleProtoWithConfig {
    #[prost(bytes = "vec", optional, tag = "1")]
    hlo_module: Option<Vec<u8>>,
}

/// The optimized program among the files that a compiler has dumped: plugins hand it out as a message only.
///
/// A compiler may dump modules that it makes on the way, too; the whole program is the largest.
pub(super) fn dumped_text(directory: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let texts = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().ends_with("after_optimizations.txt")
    });
    texts.max_by_key(|entry| entry.metadata().map_or(0, |metadata| metadata.len())).map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_taken_out_of_its_config() {
        let optimized = |format: &str, code: Vec<u8>| OptimizedProgram { format: format.to_string(), code };
        let with_config = [&[0x0a, 3][..], b"hlo", &[0x12, 1, 0]].concat();
        assert_eq!(hlo_module(optimized("hlo_with_config", with_config)), Some(b"hlo".to_vec()));
        assert_eq!(hlo_module(optimized("hlo", b"hlo".to_vec())), Some(b"hlo".to_vec()));
        assert_eq!(hlo_module(optimized("mlir", b"module".to_vec())), None);
    }
}
