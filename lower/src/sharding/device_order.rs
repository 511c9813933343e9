//! Which physical device stands where in a mesh.
//!
//! Collectives along a mesh axis are as fast as the links between the devices that differ in it. So the axis
//! that moves most, `model`, gets devices that are neighbours: a box of chips that tiles the slice, in the
//! order of a ring through it. The next axis gets a box of such boxes, and so on. Slices are joined by a
//! network far slower than the links within one, so that the axis which moves least, `data`, goes across them.

use super::Mesh;
use super::grid::{Grid, GridDim, path, ring};

/// Where a device is, as a plugin reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DevicePosition {
    /// Id of the device.
    pub id: i32,
    /// Coordinates of its chip in its slice's grid.
    pub coords: Vec<i64>,
    /// Its number among the devices of the chip.
    pub core: i64,
    /// The slice it belongs to.
    pub slice: i64,
}

/// Devices that a mesh cannot be laid over.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeviceOrderError {
    /// Fewer devices than the mesh has.
    #[error(
        "the mesh `{mesh}` takes {needed} devices, but there are {present}: make its axes' product {present} or less"
    )]
    TooFew {
        /// The mesh.
        mesh: Mesh,
        /// Devices of the mesh.
        needed: usize,
        /// Devices present.
        present: usize,
    },
    /// Slices that do not divide the mesh.
    #[error("the mesh `{mesh}` does not divide into {slices} slices: make `data` a multiple of {slices}")]
    Slices {
        /// The mesh.
        mesh: Mesh,
        /// Number of slices.
        slices: usize,
    },
}

/// The ids of the devices that stand for the devices 0, 1, ... of `mesh`.
///
/// `wraps` says along which coordinates of a slice the last chip is linked to the first. A mesh smaller than
/// the slices takes a compact part of each. Devices whose coordinates are no grid, as those of platforms other
/// than TPUs, come in the order given.
///
/// # Errors
/// If there are too few devices, or their slices do not divide the mesh.
pub fn device_order(
    mesh: &Mesh,
    devices: &[DevicePosition],
    wraps: &[bool],
) -> Result<Vec<i32>, DeviceOrderError> {
    let needed = mesh.num_devices();
    if needed > devices.len() {
        return Err(DeviceOrderError::TooFew { mesh: mesh.clone(), needed, present: devices.len() });
    }
    let mut slices: Vec<i64> = devices.iter().map(|device| device.slice).collect();
    slices.sort_unstable();
    slices.dedup();
    let indivisible = || DeviceOrderError::Slices { mesh: mesh.clone(), slices: slices.len() };
    let Some(axes) = MeshPart::of_slices(mesh, slices.len()) else { return Err(indivisible()) };
    let within: usize = axes.iter().map(|axis| axis.within).product();
    let mut orders = Vec::with_capacity(slices.len());
    for &slice in &slices {
        let members: Vec<&DevicePosition> = devices.iter().filter(|device| device.slice == slice).collect();
        if members.len() < within {
            return Err(indivisible());
        }
        orders.push(order_in_slice(&axes, &members, wraps));
    }

    let device = |number: usize| {
        let (mut slice, mut inner) = (0, 0);
        for axis in &axes {
            let coordinate = mesh.coordinate(number, &axis.name)?;
            slice = slice * axis.across + coordinate / axis.within;
            inner = inner * axis.within + coordinate % axis.within;
        }
        orders.get(slice)?.get(inner).copied()
    };
    (0..needed).map(device).collect::<Option<_>>().ok_or_else(indivisible)
}

/// A mesh axis, divided into what goes across slices and what stays within each.
struct MeshPart {
    name: String,
    across: usize,
    within: usize,
}

impl MeshPart {
    /// The axes of `mesh`, those that move least first, spread over so many slices.
    fn of_slices(mesh: &Mesh, slices: usize) -> Option<Vec<Self>> {
        let mut axes: Vec<_> = mesh.axes().iter().collect();
        // Stable: among axes that are not known, the minor ones move most.
        axes.sort_by_key(|(name, _)| match name.as_str() {
            "data" => 0,
            "seq" => 2,
            "model" => 3,
            _ => 1,
        });
        let mut left = slices;
        let parts = axes.into_iter().map(|(name, size)| {
            let across = (1..=*size).rev().find(|n| size.is_multiple_of(*n) && left.is_multiple_of(*n));
            let across = across.unwrap_or(1);
            left /= across;
            Self { name: name.clone(), across, within: size / across }
        });
        let parts = parts.collect();
        (left == 1).then_some(parts)
    }
}

/// The ids of a slice's devices in the row-major order of `axes`.
fn order_in_slice(axes: &[MeshPart], members: &[&DevicePosition], wraps: &[bool]) -> Vec<i32> {
    let within: usize = axes.iter().map(|axis| axis.within).product();
    let Some(slice) = Slice::new(members, wraps) else {
        return members.iter().take(within).map(|device| device.id).collect();
    };
    let places = boxes_of_boxes(axes, &slice.grid).unwrap_or_else(|| {
        // No boxes: stretches of one path through all chips are contiguous at least.
        let sizes: Vec<usize> = slice.grid.dims.iter().map(|dim| dim.size).collect();
        path(&sizes)
    });
    places.into_iter().take(within).filter_map(|place| slice.id(&place)).collect()
}

/// Places in the row-major order of `axes`, the last of which moves most: each axis gets a ring through a box
/// of the boxes of the axes after it. `None` if an axis has no box.
fn boxes_of_boxes(axes: &[MeshPart], grid: &Grid) -> Option<Vec<Vec<usize>>> {
    let mut places = vec![vec![0; grid.dims.len()]];
    let mut left = grid.clone();
    let mut scale = vec![1; grid.dims.len()];
    for axis in axes.iter().rev() {
        let sizes = left.best_box(axis.within)?;
        let steps = ring(&sizes);
        let shifted = |step: &Vec<usize>, place: &Vec<usize>| -> Vec<usize> {
            place.iter().zip(step).zip(&scale).map(|((place, step), scale)| place + step * scale).collect()
        };
        places = steps.iter().flat_map(|step| places.iter().map(|place| shifted(step, place))).collect();
        for ((dim, scale), size) in left.dims.iter_mut().zip(&mut scale).zip(&sizes) {
            // From a box to the next, each device has to cross the box.
            dim.hop *= size;
            dim.size /= size;
            *scale *= size;
        }
    }
    Some(places)
}

/// The devices of a slice by their places in its grid.
struct Slice {
    grid: Grid,
    /// In row-major order.
    ids: Vec<i32>,
}

impl Slice {
    /// `None` unless every place of the grid has exactly one device.
    fn new(members: &[&DevicePosition], wraps: &[bool]) -> Option<Self> {
        let place = |device: &DevicePosition| -> Vec<i64> {
            device.coords.iter().copied().chain(std::iter::once(device.core)).collect()
        };
        let rank = place(members.first()?).len();
        let places: Vec<Vec<i64>> = members.iter().map(|device| place(device)).collect();
        if rank == 1 || places.iter().any(|place| place.len() != rank) {
            return None;
        }
        let mut dims = Vec::with_capacity(rank);
        let mut first = Vec::with_capacity(rank);
        for dim in 0..rank {
            let along = || places.iter().filter_map(|place| place.get(dim));
            let (low, high) = (*along().min()?, *along().max()?);
            let size = usize::try_from(high.checked_sub(low)?).ok()?.checked_add(1)?;
            let is_core = dim + 1 == rank;
            let wraps = !is_core && wraps.get(dim).copied().unwrap_or(false);
            dims.push(GridDim { size, hop: usize::from(!is_core), wraps });
            first.push(low);
        }
        let len = dims.iter().try_fold(1usize, |len, dim| len.checked_mul(dim.size))?;
        if len != members.len() {
            return None;
        }
        let mut slice = Self { grid: Grid { dims }, ids: Vec::new() };
        let mut ids = vec![None; len];
        for (device, place) in members.iter().zip(&places) {
            let place: Option<Vec<usize>> =
                place.iter().zip(&first).map(|(at, first)| usize::try_from(at - first).ok()).collect();
            let index = slice.index(&place?);
            if ids.get_mut(index)?.replace(device.id).is_some() {
                return None;
            }
        }
        slice.ids = ids.into_iter().collect::<Option<_>>()?;
        Some(slice)
    }

    fn index(&self, place: &[usize]) -> usize {
        self.grid.dims.iter().zip(place).fold(0, |index, (dim, at)| index * dim.size + at)
    }

    fn id(&self, place: &[usize]) -> Option<i32> {
        self.ids.get(self.index(place)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slice's devices, the last coordinate varying slowest, as libtpu numbers them.
    fn slice(slice: i64, dims: [i64; 3], cores: i64) -> Vec<DevicePosition> {
        let [x, y, z] = dims;
        let chips = (0..z).flat_map(move |z| (0..y).flat_map(move |y| (0..x).map(move |x| vec![x, y, z])));
        let devices = chips.flat_map(|coords| (0..cores).map(move |core| (coords.clone(), core)));
        let first = slice * x * y * z * cores;
        let position = |(i, (coords, core)): (usize, (Vec<i64>, i64))| DevicePosition {
            id: (first + i as i64) as i32,
            coords,
            core,
            slice,
        };
        devices.enumerate().map(position).collect()
    }

    fn order(mesh: &str, devices: &[DevicePosition]) -> Vec<i32> {
        device_order(&mesh.parse().unwrap(), devices, &[]).unwrap()
    }

    #[test]
    fn model_groups_are_rings_of_neighbours() {
        assert_eq!(order("model=4", &slice(0, [2, 2, 1], 1)), [0, 2, 3, 1]);
        assert_eq!(order("data=2,model=4", &slice(0, [2, 4, 1], 1)), [0, 2, 3, 1, 4, 6, 7, 5]);
        // The busiest axis is known by its name, wherever it stands in the mesh.
        assert_eq!(order("model=4,data=2", &slice(0, [2, 4, 1], 1)), [0, 4, 2, 6, 3, 7, 1, 5]);
        // Both cores of a chip come together.
        let cores = order("data=2,model=2", &slice(0, [2, 1, 1], 2));
        assert_eq!(cores, [0, 1, 2, 3]);
    }

    #[test]
    fn data_goes_across_slices() {
        let mut devices = slice(0, [2, 2, 1], 1);
        devices.extend(slice(1, [2, 2, 1], 1));
        assert_eq!(order("data=2,model=4", &devices), [0, 2, 3, 1, 4, 6, 7, 5]);
        assert_eq!(order("model=4,data=2", &devices), [0, 4, 2, 6, 3, 7, 1, 5]);
        let error = device_order(&"data=3,model=1".parse().unwrap(), &devices, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the mesh `data=3,model=1` does not divide into 2 slices: make `data` a multiple of 2"
        );
    }

    #[test]
    fn every_device_is_used_once() {
        for mesh in ["data=2,seq=2,model=8", "model=32", "data=8,model=4", "a=4,b=8", "data=32"] {
            let mut ids = order(mesh, &slice(0, [4, 4, 2], 1));
            ids.sort_unstable();
            assert_eq!(ids, (0..32).collect::<Vec<i32>>(), "{mesh}");
        }
        assert_eq!(order("model=3", &slice(0, [2, 2, 1], 1)).len(), 3);
    }

    #[test]
    fn devices_without_coordinates_keep_their_order() {
        let devices: Vec<DevicePosition> =
            (0..4).map(|id| DevicePosition { id, coords: Vec::new(), core: 0, slice: 0 }).collect();
        assert_eq!(order("model=4", &devices), [0, 1, 2, 3]);
        assert_eq!(
            device_order(&"model=8".parse().unwrap(), &devices, &[]).unwrap_err().to_string(),
            "the mesh `model=8` takes 8 devices, but there are 4: make its axes' product 4 or less"
        );
    }
}
