//! Weights in memory before they are read.

use lapidary_models::checkpoint::TensorView;

/// How much is mapped at a time: little, so that it ends soon after it is no longer wanted, and keeps nobody waiting who
/// maps memory himself.
const PART_BYTES: usize = 4 << 20;

/// Maps the pages of tensors that are used where they lie, as long as `wanted` says so. Otherwise the first step that
/// reads them takes a page fault for every 64 KiB, which for gigabytes in the page cache doubles its time; where
/// they are not, this begins to read them. Where the system cannot, it is left to that step.
pub(super) fn prefault(tensors: &[TensorView], wanted: impl Fn() -> bool) {
    for tensor in tensors {
        let (source, range) = (tensor.source(), tensor.range());
        for start in range.clone().step_by(PART_BYTES) {
            if !wanted() || source.populate(start..range.end.min(start + PART_BYTES)).is_err() {
                return;
            }
        }
    }
}
