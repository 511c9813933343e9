//! The program as the compiler has optimized it.

use lapidary_runtime::OptimizedProgram;
use prost::Message;

/// The `HloModuleProto` of a program; `None` if it is in another form.
pub(super) fn hlo_module(program: OptimizedProgram) -> Option<Vec<u8>> {
    match program.format.as_str() {
        "hlo" => Some(program.code),
        "hlo_with_config" => module_within(&program.code),
        _ => None,
    }
}

/// The `HloModuleProto` within an `HloModuleProtoWithConfig`, or within an `HloProto`, as compilers dump it.
pub(super) fn module_within(message: &[u8]) -> Option<Vec<u8>> {
    WithModule::decode(message).ok()?.hlo_module
}

/// What these messages of `xla/service/hlo.proto` have in common. The module is not looked into, and so loses nothing.
#[derive(Clone, PartialEq, Message)]
struct WithModule {
    #[prost(bytes = "vec", optional, tag = "1")]
    hlo_module: Option<Vec<u8>>,
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
