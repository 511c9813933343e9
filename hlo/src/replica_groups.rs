//! Which devices take part in a collective together.

use serde::Serialize;

use crate::shape::product;

/// Devices of a module that are worth listing; beyond it a group list is refused.
const MAX_DEVICES: u64 = 1 << 20;
/// Dimensions that a list of groups may be written with; a mesh has a few.
const MAX_RANK: usize = 32;

/// Groups of devices; each group communicates among itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct ReplicaGroups(
    /// Device numbers, a list for each group. No group at all means one of all devices.
    pub Vec<Vec<u64>>,
);

/// An axis of a mesh, or a part of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MeshAxis {
    /// Number of the axis.
    pub index: usize,
    /// With the axis seen as `[before, size, after]`: `before` and `size` of the part (Shardy's `(before)size`).
    pub part: Option<(u64, u64)>,
}

impl ReplicaGroups {
    /// The groups `[groups,size]<=[dimensions]T(permutation)`: numbers 0, 1, ... in an array of `dimensions`,
    /// transposed, and cut into groups in row-major order. `None` if the numbers contradict each other.
    pub(crate) fn from_iota(
        groups: u64,
        size: u64,
        dimensions: &[u64],
        permutation: &[usize],
    ) -> Option<Self> {
        let devices = product(dimensions)?;
        if devices > MAX_DEVICES || devices == 0 || groups.checked_mul(size)? != devices {
            return None;
        }
        let order = transposed_iota(dimensions, permutation)?;
        Some(Self(order.chunks(usize::try_from(size).ok()?).map(<[u64]>::to_vec).collect()))
    }

    /// The groups along some axes of a mesh of `sizes`: devices that differ only in their places on `axes`, the
    /// first axis the most major. `device_ids` are the devices in the mesh's row-major order, empty for 0, 1, ...
    pub(crate) fn from_mesh(sizes: &[u64], device_ids: &[u64], axes: &[MeshAxis]) -> Option<Self> {
        if sizes.len() > MAX_RANK || axes.len() > MAX_RANK {
            return None;
        }
        let (sizes, axes) = split_axes(sizes, axes)?;
        let devices = product(&sizes)?;
        let others = (0..sizes.len()).filter(|axis| !axes.contains(axis));
        let permutation: Vec<usize> = others.chain(axes.iter().copied()).collect();
        let grouped: Vec<u64> = axes.iter().map(|&axis| sizes.get(axis).copied()).collect::<Option<_>>()?;
        let size = product(&grouped).filter(|&size| size > 0)?;
        let mut groups = Self::from_iota(devices / size, size, &sizes, &permutation)?;
        if !device_ids.is_empty() {
            for device in groups.0.iter_mut().flatten() {
                *device = *device_ids.get(usize::try_from(*device).ok()?)?;
            }
        }
        Some(groups)
    }

    /// Devices in a group, the largest if they differ; `None` if all devices are one group.
    pub fn group_size(&self) -> Option<u64> {
        self.0.iter().map(|group| group.len() as u64).max()
    }
}

/// Cuts the axes of a mesh wherever a part of one begins or ends: the sizes of what results, and the numbers of
/// the pieces that `axes` are made of.
fn split_axes(sizes: &[u64], axes: &[MeshAxis]) -> Option<(Vec<u64>, Vec<usize>)> {
    let mut pieces = Vec::new();
    // For each axis, the first of its pieces and the products of the sizes before each cut.
    let mut cuts_of = Vec::new();
    for (index, &size) in sizes.iter().enumerate() {
        let mut cuts = vec![1, size];
        for (before, part) in axes.iter().filter(|axis| axis.index == index).filter_map(|axis| axis.part) {
            cuts.extend([before, before.checked_mul(part)?]);
        }
        cuts.sort_unstable();
        cuts.dedup();
        cuts_of.push((pieces.len(), cuts.clone()));
        for pair in cuts.windows(2) {
            let &[low, high] = pair else { return None };
            if low == 0 || high % low != 0 {
                return None;
            }
            pieces.push(high / low);
        }
    }
    let mut chosen = Vec::new();
    for axis in axes {
        let (first, cuts) = cuts_of.get(axis.index)?;
        let size = *sizes.get(axis.index)?;
        let (low, high) = axis.part.map_or((1, size), |(before, part)| (before, before.saturating_mul(part)));
        let place = |cut: u64| cuts.iter().position(|&other| other == cut);
        chosen.extend((place(low)?..place(high)?).map(|piece| first + piece));
    }
    Some((pieces, chosen))
}

/// The numbers 0, 1, ... of an array of `dimensions`, in the order in which the transposed array has them.
fn transposed_iota(dimensions: &[u64], permutation: &[usize]) -> Option<Vec<u64>> {
    let identity: Vec<usize> = (0..dimensions.len()).collect();
    let permutation = if permutation.is_empty() { &identity } else { permutation };
    let fits = permutation.len() == dimensions.len() && permutation.len() <= MAX_RANK;
    if !fits || !identity.iter().all(|axis| permutation.contains(axis)) {
        return None;
    }
    let stride = |axis: usize| dimensions.iter().skip(axis + 1).product::<u64>();
    let mut order = vec![0];
    for &axis in permutation {
        let (size, stride) = (*dimensions.get(axis)?, stride(axis));
        order = order.iter().flat_map(|&start| (0..size).map(move |place| start + place * stride)).collect();
    }
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iota_lists() {
        let rows = ReplicaGroups::from_iota(2, 2, &[4], &[]).unwrap();
        assert_eq!(rows.0, [[0, 1], [2, 3]]);
        let columns = ReplicaGroups::from_iota(2, 2, &[2, 2], &[1, 0]).unwrap();
        assert_eq!(columns.0, [[0, 2], [1, 3]]);
        assert_eq!(columns.group_size(), Some(2));
        assert_eq!(ReplicaGroups::from_iota(3, 2, &[4], &[]), None);
        assert_eq!(ReplicaGroups::from_iota(2, 2, &[2, 2], &[1, 1]), None);
        assert_eq!(ReplicaGroups::from_iota(1, u64::MAX, &[u64::MAX], &[]), None);
    }

    #[test]
    fn mesh_axes() {
        let axis = |index| MeshAxis { index, part: None };
        let groups = |axes: &[usize]| {
            let axes: Vec<_> = axes.iter().map(|&index| axis(index)).collect();
            ReplicaGroups::from_mesh(&[2, 3], &[], &axes).unwrap().0
        };
        assert_eq!(groups(&[1]), [[0, 1, 2], [3, 4, 5]]);
        assert_eq!(groups(&[0]), [[0, 3], [1, 4], [2, 5]]);
        assert_eq!(groups(&[1, 0]), [[0, 3, 1, 4, 2, 5]]);
        let renamed = ReplicaGroups::from_mesh(&[2, 2], &[3, 2, 1, 0], &[axis(1)]).unwrap();
        assert_eq!(renamed.0, [[3, 2], [1, 0]]);
    }

    #[test]
    fn parts_of_mesh_axes() {
        let part = |before, size| MeshAxis { index: 0, part: Some((before, size)) };
        let groups = |axes: &[MeshAxis]| ReplicaGroups::from_mesh(&[4], &[], axes).map(|groups| groups.0);
        assert_eq!(groups(&[part(1, 2)]), Some(vec![vec![0, 2], vec![1, 3]]));
        assert_eq!(groups(&[part(2, 2)]), Some(vec![vec![0, 1], vec![2, 3]]));
        assert_eq!(groups(&[part(2, 3)]), None);
        assert_eq!(groups(&[MeshAxis { index: 1, part: None }]), None);
    }
}
