//! Arrays that are split over the devices of a placement.

use std::borrow::Cow;
use std::ops::Range;

use lapidary_graph::TensorType;
use lapidary_lower::Sharding;
use lapidary_runtime::{Argument, Buffer, Element};

use super::dtype;
use super::placement::{Holder, Part, Placement};
use super::region::runs;

/// An array in pieces: a buffer on each addressable device of a placement, in their order.
#[derive(Debug)]
pub(super) struct ShardedBuffer {
    shards: Vec<Buffer>,
}

impl ShardedBuffer {
    /// Takes the buffers of the addressable devices, in their order.
    pub(super) fn new(shards: Vec<Buffer>) -> Self {
        Self { shards }
    }

    /// Calls `upload` for each distinct part; it returns a buffer for each of the part's holders.
    pub(super) fn place<E>(
        placement: &Placement,
        sharding: &Sharding,
        mut upload: impl FnMut(&Part<'_>) -> Result<Vec<Buffer>, E>,
    ) -> Result<Self, E> {
        let mut placed: Vec<(usize, Buffer)> = Vec::new();
        for part in placement.parts(sharding) {
            let buffers = upload(&part)?;
            placed.extend(part.holders.iter().map(|holder| holder.index).zip(buffers));
        }
        placed.sort_by_key(|(index, _)| *index);
        Ok(Self { shards: placed.into_iter().map(|(_, buffer)| buffer).collect() })
    }

    /// Cuts an array of type `ty` that is in host memory and gives each device its part.
    pub(super) fn from_host(
        placement: &Placement,
        sharding: &Sharding,
        bytes: &[u8],
        ty: &TensorType,
    ) -> lapidary_runtime::Result<Self> {
        let held = sharding.shard_shape();
        let (client, element_type) = (placement.client(), dtype::element_type(ty.dtype));
        Self::place(placement, sharding, |part| {
            let shard = cut(bytes, ty, &part.ranges, &held);
            let upload = |holder: &Holder<'_>| {
                client.buffer_from_host(shard.as_ref(), element_type, &held, holder.device)
            };
            part.holders.iter().map(upload).collect()
        })
    }

    /// Puts an array of `dims` together in host memory, fetching each part once. What is not split is read
    /// directly.
    pub(super) fn to_host<T: Element>(
        &self,
        placement: &Placement,
        sharding: &Sharding,
        dims: &[usize],
    ) -> lapidary_runtime::Result<Vec<T>> {
        if let (true, Some(whole)) = (sharding.is_replicated(), self.shards.first()) {
            return whole.to_vec();
        }
        let mut whole = vec![T::zeroed(); dims.iter().product()];
        for part in placement.parts(sharding) {
            let shard = part.holders.first().and_then(|holder| self.shards.get(holder.index));
            let Some(shard) = shard else { continue };
            let values: Vec<T> = shard.to_vec()?;
            for run in runs(dims, &part.ranges, shard.dims()) {
                let to = whole.get_mut(run.whole..run.whole + run.len);
                if let Some((to, from)) = to.zip(values.get(run.part..run.part + run.len)) {
                    to.copy_from_slice(from);
                }
            }
        }
        Ok(whole)
    }

    /// Bytes on all addressable devices, as the plugin tells.
    pub(super) fn device_bytes(&self) -> lapidary_runtime::Result<usize> {
        self.shards.iter().map(Buffer::on_device_size).sum()
    }

    /// Adds each device's buffer to its list of arguments; it stays what it is.
    pub(super) fn lend<'b>(&'b self, arguments: &mut [Vec<Argument<'b>>]) {
        for (list, shard) in arguments.iter_mut().zip(&self.shards) {
            list.push(Argument::Borrowed(shard));
        }
    }

    /// Adds each device's buffer to its list of arguments, to be donated.
    pub(super) fn give(self, arguments: &mut [Vec<Argument<'_>>]) {
        for (list, shard) in arguments.iter_mut().zip(self.shards) {
            list.push(Argument::Donated(shard));
        }
    }
}

/// The part `ranges` of an array, at the start of an array of shape `held` that is zero elsewhere.
fn cut<'b>(bytes: &'b [u8], ty: &TensorType, ranges: &[Range<usize>], held: &[usize]) -> Cow<'b, [u8]> {
    let size = ty.dtype.byte_width();
    if ty.dims == held {
        return Cow::Borrowed(bytes);
    }
    let mut part = vec![0; held.iter().product::<usize>() * size];
    for run in runs(&ty.dims, ranges, held) {
        let to = part.get_mut(run.part * size..(run.part + run.len) * size);
        if let Some((to, from)) = to.zip(bytes.get(run.whole * size..(run.whole + run.len) * size)) {
            to.copy_from_slice(from);
        }
    }
    Cow::Owned(part)
}
