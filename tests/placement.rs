//! Device orders over the coordinates that the TPU plugin reports for real topologies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/absent_tpu.rs"]
mod absent_tpu;
#[path = "support/plugin.rs"]
mod plugin_file;

use lapidary::lower::Mesh;
use lapidary::lower::sharding::{DevicePosition, device_order};
use lapidary::runtime::{Attributes, DeviceDescription, Topology, Value};

#[test]
fn model_groups_are_neighbours() {
    absent_tpu::run_in_child("place_on_absent_tpus");
}

struct Case {
    topology: &'static str,
    slices: i64,
    /// Whether the links of each dimension close to a torus.
    torus: bool,
    mesh: &'static str,
    /// The fewest hops that visit a group's chips and return.
    hops: usize,
}

const CASES: [Case; 10] = [
    Case { topology: "v5p:2x2x1", slices: 1, torus: false, mesh: "model=4", hops: 4 },
    Case { topology: "v5p:2x2x1", slices: 1, torus: false, mesh: "data=2,model=2", hops: 2 },
    Case { topology: "v5p:2x2x4", slices: 1, torus: false, mesh: "data=2,model=8", hops: 8 },
    Case { topology: "v5p:2x2x4", slices: 1, torus: false, mesh: "model=16", hops: 16 },
    Case { topology: "v5p:4x4x4", slices: 1, torus: true, mesh: "data=8,model=8", hops: 8 },
    Case { topology: "v5p:4x4x4", slices: 1, torus: true, mesh: "data=2,seq=2,model=16", hops: 16 },
    Case { topology: "v5p:4x4x4", slices: 1, torus: true, mesh: "data=16,model=4", hops: 4 },
    // Two cores a chip: eight devices on four chips.
    Case { topology: "v4:2x2x2", slices: 1, torus: false, mesh: "data=2,model=8", hops: 4 },
    Case { topology: "v5e:4x4", slices: 1, torus: false, mesh: "data=2,model=8", hops: 8 },
    Case { topology: "v5p:2x2x1", slices: 2, torus: false, mesh: "data=2,model=4", hops: 4 },
];

#[test]
#[ignore = "the child process of model_groups_are_neighbours"]
fn place_on_absent_tpus() {
    let plugin = absent_tpu::plugin();
    for case in &CASES {
        let Case { topology: name, slices, torus, mesh, hops } = case;
        let mut options = Attributes::new();
        if *slices > 1 {
            options.insert("num_slices".to_string(), Value::Int(*slices));
        }
        if *torus {
            options.insert("wrap".to_string(), Value::Ints(vec![1; 3]));
        }
        let topology = absent_tpu::topology(&plugin, name, &options);
        let devices: Vec<DevicePosition> = topology.devices().iter().map(position).collect();
        let wraps = wraps_of(&topology);
        let mesh: Mesh = mesh.parse().unwrap();
        assert_eq!(devices.len(), mesh.num_devices(), "{name}");
        let order = device_order(&mesh, &devices, &wraps).unwrap();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, in_id_order(&devices), "{name} {mesh}: every device once");

        let groups = model_hops(&mesh, &devices, &order, &wraps);
        let naive = model_hops(&mesh, &devices, &in_id_order(&devices), &wraps);
        println!("{name} x{slices}, {mesh}: {groups:?} hops around, {naive:?} in id order");
        assert!(groups.iter().all(|around| around == hops), "{name} {mesh}: {groups:?}");
        assert!(groups.iter().sum::<usize>() <= naive.iter().sum(), "{name} {mesh}");
    }
}

fn wraps_of(topology: &Topology) -> Vec<bool> {
    let Value::Ints(wraps) = &topology.attributes().unwrap()["wrap"] else { panic!("no `wrap`") };
    wraps.iter().map(|&wrap| wrap == 1).collect()
}

fn in_id_order(devices: &[DevicePosition]) -> Vec<i32> {
    let mut ids: Vec<i32> = devices.iter().map(|device| device.id).collect();
    ids.sort_unstable();
    ids
}

fn position(device: &DeviceDescription) -> DevicePosition {
    let int = |name: &str| match device.attributes.get(name) {
        Some(Value::Int(value)) => *value,
        _ => 0,
    };
    let Some(Value::Ints(coords)) = device.attributes.get("coords") else { panic!("{device:?}") };
    DevicePosition {
        id: device.id,
        coords: coords.clone(),
        core: int("core_on_chip"),
        slice: int("slice_index"),
    }
}

/// The hops around each group of devices that differ in `model` alone, in the order of their coordinates.
fn model_hops(mesh: &Mesh, devices: &[DevicePosition], order: &[i32], wraps: &[bool]) -> Vec<usize> {
    let size = mesh.size("model").unwrap();
    let stride = (0..mesh.num_devices()).find(|&i| mesh.coordinate(i, "model") == Some(1)).unwrap();
    let at = |number: usize| devices.iter().find(|device| device.id == order[number]).unwrap();
    let extent = |dim: usize| 1 + devices.iter().map(|device| device.coords[dim]).max().unwrap();
    let hops = |a: &DevicePosition, b: &DevicePosition| -> usize {
        assert_eq!(a.slice, b.slice, "a model group within one slice");
        let along = (0..a.coords.len()).map(|dim| {
            let distance = (a.coords[dim] - b.coords[dim]).abs();
            if wraps[dim] { distance.min(extent(dim) - distance) } else { distance }
        });
        along.sum::<i64>() as usize
    };
    (0..mesh.num_devices())
        .filter(|&first| mesh.coordinate(first, "model") == Some(0))
        .map(|first| {
            let ring: Vec<&DevicePosition> = (0..size).map(|i| at(first + i * stride)).collect();
            (0..size).map(|i| hops(ring[i], ring[(i + 1) % size])).sum()
        })
        .collect()
}
