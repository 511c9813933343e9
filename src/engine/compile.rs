//! How programs are lowered and compiled for the devices of a placement.

use lapidary_lower::{LowerOptions, Target};
use lapidary_runtime::{CompileOptions, CompilerFlag};

use super::placement::Placement;

/// How programs for `target` are lowered that run on the devices of `placement`.
pub(super) fn lower_options<'p>(placement: &'p Placement, target: &'p Target) -> LowerOptions<'p> {
    let mesh = Some(placement.mesh()).filter(|mesh| mesh.num_devices() > 1);
    LowerOptions { target, mesh, rules: placement.rules() }
}

/// How they are compiled.
pub(super) fn compile_options(placement: &Placement, target: &Target) -> CompileOptions {
    let flags = target.compiler_flags.iter();
    compile_options_with(placement, flags.map(|(name, value)| (*name, CompilerFlag::Bool(*value))))
}

/// How programs that want these flags are compiled. Flags of the placement come on top of them.
pub(crate) fn compile_options_with<'f>(
    placement: &'f Placement,
    flags: impl Iterator<Item = (&'f str, CompilerFlag)>,
) -> CompileOptions {
    let ids = placement.devices().iter().map(|device| device.id()).collect();
    let on_devices = CompileOptions::new().device_assignment(vec![ids]);
    let asked = placement.compiler_flags();
    let asked = asked.iter().map(|(name, value)| (name.as_str(), CompilerFlag::of_text(value)));
    flags.chain(asked).fold(on_devices, |options, (name, value)| options.flag(name, value))
}
