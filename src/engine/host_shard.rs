//! Parts of a checkpoint's tensors as devices take them.

use std::ops::Range;
use std::sync::Arc;

use lapidary_models::checkpoint::TensorView;
use lapidary_models::convert::convert;
use lapidary_models::dtype::TensorDtype;
use lapidary_models::encoding::{Arrangement, TensorPart, WeightTensor};
use lapidary_runtime::{HostMemory, SharedBytes};

use super::aligned::AlignedBytes;
use super::region::{Run, runs};

/// A tensor whose elements are in memory: the file's, or made of it.
pub(super) struct HostTensor<'t> {
    tensor: &'t TensorView,
    memory: Arc<dyn HostMemory>,
    /// Where in the memory the elements are.
    range: Range<usize>,
}

impl<'t> HostTensor<'t> {
    /// The elements of `tensor`; `None` if its bytes are not what its shape says.
    pub(super) fn of(tensor: &'t TensorView) -> Option<Self> {
        let (memory, range): (Arc<dyn HostMemory>, _) = match tensor.in_file() {
            Some((source, range)) => (Arc::clone(source) as _, range),
            None => {
                let mut made = AlignedBytes::zeroed(tensor.byte_count());
                tensor.read_into(made.as_mut()).ok()?;
                (Arc::new(made), 0..tensor.byte_count())
            }
        };
        Some(Self { tensor, memory, range })
    }

    /// Whether they are the file's.
    pub(super) fn in_file(&self) -> bool {
        self.tensor.in_file().is_some()
    }

    /// A part of the tensor as devices hold it, in the arrangement of `wanted` and of type `dtype`; `None` if the tensor's
    /// bytes are not what its shape says, or cannot be of that type.
    pub(super) fn shard(
        &self,
        wanted: &WeightTensor,
        part: TensorPart<'_>,
        dtype: TensorDtype,
    ) -> Option<HostShard> {
        match wanted.arrangement {
            Arrangement::Rows => self.cut(part, dtype),
            Arrangement::Groups => {
                let rows = self.memory.bytes().get(self.range.clone())?;
                let mut regrouped = AlignedBytes::zeroed(part.held.iter().product::<usize>() * dtype.size());
                wanted.regroup(rows, part, regrouped.as_mut())?;
                let memory = SharedBytes::new(Arc::new(regrouped));
                Some(HostShard { memory, in_file: false, converted: true })
            }
        }
    }

    fn cut(&self, TensorPart { ranges, held }: TensorPart<'_>, dtype: TensorDtype) -> Option<HostShard> {
        let from = self.tensor.dtype();
        let (size, len) = (dtype.size(), held.iter().product::<usize>());
        let converted = from != dtype || !self.in_file();
        let mut runs = runs(self.tensor.dims(), ranges, held).peekable();
        if let Some(run) = runs.peek().filter(|run| run.len == len && from == dtype) {
            let start = self.range.start + run.whole * size;
            let memory = SharedBytes::slice(Arc::clone(&self.memory), start..start + len * size)?;
            return Some(HostShard { memory, in_file: self.in_file(), converted });
        }
        let elements = self.memory.bytes().get(self.range.clone())?;
        let mut gathered = AlignedBytes::zeroed(len * size);
        for Run { whole, part, len } in runs {
            let input = elements.get(whole * from.size()..(whole + len) * from.size())?;
            let out = gathered.as_mut().get_mut(part * size..(part + len) * size)?;
            convert(from, input, dtype, out).ok()?;
        }
        Some(HostShard { memory: SharedBytes::new(Arc::new(gathered)), in_file: false, converted })
    }
}

/// A part of a tensor as devices take it: dense, and in the element type to hold it in.
pub(super) struct HostShard {
    pub(super) memory: SharedBytes,
    /// Whether this is the mapped file itself, and no copy.
    pub(super) in_file: bool,
    /// Whether the file has another element type, or packs or arranges the elements in another way.
    pub(super) converted: bool,
}
