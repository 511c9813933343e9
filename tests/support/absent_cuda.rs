//! The CUDA plugin without a GPU: a compiler.

#![allow(dead_code)]

use lapidary::runtime::plugins::{Package, PluginKind, Use, companions_beside};

use crate::plugin_file;

/// What the tests need, with the command that brings it.
pub(crate) const INSTALL: &str = "`lapidary plugin install cuda --compile-only`";

/// Whether the plugin and what compiling takes are here. Where they are not, tests fail in CI and say so elsewhere.
pub(crate) fn can_compile() -> bool {
    let Some(library) = plugin_file::plugin(PluginKind::Cuda) else { return false };
    let compilers = Package::pinned(PluginKind::Cuda).companions_for(Use::Compile);
    let beside = companions_beside(PluginKind::Cuda, &library);
    for compiler in compilers {
        let there = beside.iter().any(|state| state.companion == compiler && state.is_complete());
        if !there {
            plugin_file::skip(format_args!("no {} beside {}: {INSTALL}", compiler.name, library.display()));
            return false;
        }
    }
    true
}
