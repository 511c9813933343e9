//! Which axes of a mesh a collective communicates along.

use serde::Serialize;

use crate::replica_groups::ReplicaGroups;

/// An axis of a mesh of devices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MeshAxis {
    /// Its name, such as `model`.
    pub name: String,
    /// Devices along it.
    pub size: u64,
}

/// Shape of a mesh whose devices are numbered in row-major order: the last axis varies fastest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct MeshShape(
    /// Axes, the most major first.
    pub Vec<MeshAxis>,
);

impl MeshShape {
    /// A mesh of named axes.
    pub fn new<N: Into<String>>(axes: impl IntoIterator<Item = (N, u64)>) -> Self {
        Self(axes.into_iter().map(|(name, size)| MeshAxis { name: name.into(), size }).collect())
    }

    /// Number of devices.
    pub fn devices(&self) -> u64 {
        self.0.iter().map(|axis| axis.size).fold(1, u64::saturating_mul)
    }

    /// Place of a device on each axis.
    fn place(&self, device: u64) -> Option<Vec<u64>> {
        let mut rest = device;
        let mut place = Vec::with_capacity(self.0.len());
        for axis in self.0.iter().rev() {
            place.push(rest.checked_rem(axis.size)?);
            rest /= axis.size;
        }
        place.reverse();
        (rest == 0).then_some(place)
    }

    /// For each axis, whether some of these devices differ in their place on it.
    fn varying(&self, devices: &[u64]) -> Option<Vec<bool>> {
        let places = devices.iter().map(|&device| self.place(device)).collect::<Option<Vec<_>>>()?;
        let first = places.first()?;
        let differs = |axis: usize| places.iter().any(|place| place.get(axis) != first.get(axis));
        Some((0..self.0.len()).map(differs).collect())
    }

    fn names(&self, chosen: &[bool]) -> Vec<String> {
        let chosen = self.0.iter().zip(chosen).filter(|(_, chosen)| **chosen);
        chosen.map(|(axis, _)| axis.name.clone()).collect()
    }

    /// The axes such that every group is all devices that differ only on them. `None` if the groups are no such
    /// thing, as those along a part of an axis.
    pub(crate) fn axes_of_groups(&self, groups: &ReplicaGroups) -> Option<Vec<String>> {
        let Some(first) = groups.0.first() else {
            return Some(self.names(&self.0.iter().map(|axis| axis.size > 1).collect::<Vec<_>>()));
        };
        let varying = self.varying(first)?;
        let sizes = self.0.iter().zip(&varying).filter(|(_, varies)| **varies).map(|(axis, _)| axis.size);
        let size = sizes.fold(1, u64::saturating_mul);
        let is_whole =
            |group: &Vec<u64>| group.len() as u64 == size && self.varying(group).as_ref() == Some(&varying);
        groups.0.iter().all(is_whole).then(|| self.names(&varying))
    }

    /// The axes along which some device sends to another.
    pub(crate) fn axes_of_pairs(&self, pairs: &[(u64, u64)]) -> Option<Vec<String>> {
        let mut along = vec![false; self.0.len()];
        for &(source, target) in pairs {
            for (axis, varies) in along.iter_mut().zip(self.varying(&[source, target])?) {
                *axis |= varies;
            }
        }
        Some(self.names(&along))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh() -> MeshShape {
        MeshShape::new([("data", 2), ("model", 4)])
    }

    fn axes(groups: &[&[u64]]) -> Option<Vec<String>> {
        mesh().axes_of_groups(&ReplicaGroups(groups.iter().map(|group| group.to_vec()).collect()))
    }

    #[test]
    fn groups_along_axes() {
        assert_eq!(axes(&[&[0, 1, 2, 3], &[4, 5, 6, 7]]).unwrap(), ["model"]);
        assert_eq!(axes(&[&[0, 4], &[1, 5], &[2, 6], &[3, 7]]).unwrap(), ["data"]);
        assert_eq!(axes(&[&[0, 1, 2, 3, 4, 5, 6, 7]]).unwrap(), ["data", "model"]);
        assert_eq!(axes(&[]).unwrap(), ["data", "model"]);
        assert_eq!(axes(&[&[0], &[1]]).unwrap(), [""; 0]);
    }

    #[test]
    fn groups_along_no_axis() {
        assert_eq!(axes(&[&[0, 1], &[2, 3]]), None);
        assert_eq!(axes(&[&[0, 5], &[1, 4]]), None);
        assert_eq!(axes(&[&[0, 8]]), None);
    }

    #[test]
    fn pairs_along_axes() {
        assert_eq!(mesh().axes_of_pairs(&[(0, 1), (1, 2), (3, 0)]).unwrap(), ["model"]);
        assert_eq!(mesh().axes_of_pairs(&[(0, 4), (4, 0)]).unwrap(), ["data"]);
        assert_eq!(mesh().axes_of_pairs(&[(0, 9)]), None);
    }
}
