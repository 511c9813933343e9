//! What differs between platforms: one table each.
//!
//! A target says which of several equivalent forms of an operation its compiler makes the best code of, and
//! which composites it has kernels for. It never changes what a program means. `docs/targets.md` has the
//! sources of the facts.

mod cpu;
mod cuda;
mod tpu;

use std::borrow::Cow;
use std::num::NonZeroUsize;

use lapidary_graph::{Attributes, TensorType};

pub use cpu::{
    ATTENTION, CACHE_WRITE, CPU, DECODE_ATTENTION, GEGLU, KERNELS, LINEAR, LINEAR_FEW_ROWS, QUANTIZED_LINEAR,
    RESIDUAL_ADD, RMS_NORM, ROPE, ROWS,
};
pub use cuda::CUDA;
pub use tpu::TPU;

use crate::Decomposed;

/// The facts about one platform.
#[derive(Clone, Debug)]
pub struct Target {
    /// Name: the platform name that its PJRT plugin reports.
    pub name: &'static str,
    /// Forms of dot products.
    pub dots: DotForms,
    /// On one device, write maximum and minimum of float scalars, which reductions are made of, as comparisons and
    /// a selection. NaN wins as it does in the operation; of zeros that differ in sign, either may.
    pub scalar_extrema_by_selection: bool,
    /// On one device, decode a weight in few bits no sooner than what it is multiplied with is there. The compiler would
    /// decode all of them first, and hold the whole model decoded.
    pub decodes_in_turn: bool,
    /// On one device, write narrow floats into a KV cache by choosing what each of its slots then holds, rather than by an
    /// update or a scatter.
    pub narrow_cache_writes_by_selection: bool,
    /// Take weights in few bits by groups of their inputs (`lapidary_graph::nn::EncodedWeight`) where they have such: the
    /// compiler fuses products with codes and scales in no other arrangement.
    pub weights_by_groups: bool,
    /// Composites that are custom calls here. A platform's own table has none: a kernel is there for those who
    /// [ask for it](Target::with_kernels), once whoever runs the program has made it known to the plugin.
    pub kernels: Cow<'static, [Kernel]>,
    /// Composites that there are kernels for which were not asked for.
    pub switched_off: Cow<'static, [&'static str]>,
    /// Boolean XLA flags that programs are to be compiled with: by the compiler's defaults they would not mean
    /// what the specification says.
    pub compiler_flags: &'static [(&'static str, bool)],
    /// Steps that a decode program takes before the host sees its tokens, unless others are asked for. More than one are a
    /// loop, which is worth what it costs only where its body copies nothing and a dispatch takes a part of a step.
    pub decode_steps: NonZeroUsize,
    /// Whether a gather of one slice is to have a second index, whose slice is dropped, on a mesh: the compiler makes a
    /// dynamic slice of a single one before it partitions, and then gathers an operand that is split along that
    /// dimension on every device.
    pub pairs_single_gathers: bool,
}

/// Which forms of `dot_general` a target wants.
#[derive(Clone, Copy, Debug)]
pub struct DotForms {
    /// Compute a dot of narrow floats with an f32 result and convert that, rather than ask for the narrow
    /// result directly.
    pub narrow_results_through_f32: bool,
    /// Pad dots of few rows.
    pub row_padding: Option<RowPadding>,
    /// Drop batch dimensions of one element, which no padded dot has.
    pub drops_single_batches: bool,
    /// On one device, merge the left operand's free dimensions behind those of the batch, where the right operand would
    /// otherwise be transposed.
    pub merges_rows: bool,
    /// Whether precision makes a difference. Where it does, f32 products are exact to f32 only at
    /// `Precision::Highest`.
    pub honours_precision: bool,
}

/// Padding of a dot's left rows (the product of its free dimensions) with zeros, sliced off after.
#[derive(Clone, Copy, Debug)]
pub struct RowPadding {
    /// Fewer rows than this are padded to at least this.
    pub rows: usize,
    /// Only dots whose right operand has at least this many bytes are padded.
    pub min_rhs_bytes: usize,
}

/// A kernel that stands for a composite.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// Name of the composite.
    pub composite: &'static str,
    /// Name under which the kernel is registered with the plugin's FFI.
    pub call_target: &'static str,
    /// Whether the kernel takes operands of these types under these attributes; otherwise the composite's
    /// decomposition is lowered.
    pub accepts: fn(&[TensorType], &Attributes) -> bool,
    /// The operand that the kernel changes in place to be the result, if it does: the compiler gives both one buffer, and
    /// copies the operand before where somebody else still wants it.
    pub updates: Option<usize>,
}

/// Steps of a dispatch whose tokens still come often enough to be read as they come.
const FOUR: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

impl Target {
    /// Every target.
    pub const ALL: &'static [&'static Target] = &[&CPU, &TPU, &CUDA];

    /// The target of the platform that a PJRT plugin calls `name`.
    pub fn of_platform(name: &str) -> Option<&'static Target> {
        Self::ALL.iter().copied().find(|target| target.name == name)
    }

    /// The same with these kernels.
    #[must_use]
    pub fn with_kernels(&self, kernels: impl Into<Cow<'static, [Kernel]>>) -> Self {
        Self { kernels: kernels.into(), ..self.clone() }
    }

    /// The same, knowing that the kernels for these composites are not wanted: it makes no difference but in what
    /// is told of them.
    #[must_use]
    pub fn with_switched_off(&self, composites: impl Into<Cow<'static, [&'static str]>>) -> Self {
        Self { switched_off: composites.into(), ..self.clone() }
    }

    /// The kernel for a composite on these operands.
    ///
    /// # Errors
    /// Why there is none.
    pub fn kernel(
        &self,
        name: &str,
        operands: &[TensorType],
        attributes: &Attributes,
    ) -> Result<&Kernel, Decomposed> {
        let mut kernels = self.kernels.iter().filter(|kernel| kernel.composite == name).peekable();
        let is_none = kernels.peek().is_none();
        match kernels.find(|kernel| (kernel.accepts)(operands, attributes)) {
            Some(kernel) => Ok(kernel),
            None if !is_none => Err(Decomposed::Operands(operands.to_vec())),
            None if self.switched_off.contains(&name) => Err(Decomposed::SwitchedOff),
            None => Err(Decomposed::NoKernel),
        }
    }
}
