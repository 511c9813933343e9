//! The collectives of an optimized program.
//!
//! The messages are those of `xla/service/hlo.proto` and `xla/xla_data.proto`, with the fields used here.

#![allow(dead_code)]

use std::fmt;

use lapidary::runtime::OptimizedProgram;
use prost::Message;

/// One collective: what moves, between whom, and what for.
#[derive(Clone, PartialEq, Debug)]
pub struct Collective {
    /// `all-reduce`, `all-gather`, ...; the start of an asynchronous one counts as the whole.
    pub kind: String,
    /// Bytes of its result on one device.
    pub bytes: usize,
    /// Dimensions of its results on one device.
    pub shapes: Vec<Vec<i64>>,
    /// Devices in a group.
    pub group_size: usize,
    /// Model path of the operation that it came from.
    pub op_name: String,
}

impl fmt::Display for Collective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, bytes, shapes, group_size, op_name } = self;
        write!(f, "{kind} of {shapes:?} ({bytes} bytes) over {group_size} at {op_name}")
    }
}

const KINDS: [&str; 7] = [
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
];

/// Every collective of the program, in all of its computations.
pub fn collectives(program: &OptimizedProgram) -> Vec<Collective> {
    let module = match program.format.as_str() {
        "hlo" => HloModuleProto::decode(program.code.as_slice()).unwrap(),
        "hlo_with_config" => {
            HloModuleProtoWithConfig::decode(program.code.as_slice()).unwrap().hlo_module.unwrap()
        }
        other => panic!("an optimized program in the format `{other}`"),
    };
    let instructions = module.computations.iter().flat_map(|computation| &computation.instructions);
    instructions.filter_map(Collective::read).collect()
}

impl Collective {
    fn read(instruction: &HloInstructionProto) -> Option<Self> {
        let kind = instruction.opcode.strip_suffix("-start").unwrap_or(&instruction.opcode);
        if !KINDS.contains(&kind) {
            return None;
        }
        let shape = instruction.shape.clone().unwrap_or_default();
        let arrays: Vec<ShapeProto> =
            if shape.tuple_shapes.is_empty() { vec![shape] } else { shape.tuple_shapes };
        Some(Self {
            kind: kind.to_string(),
            bytes: arrays.iter().map(ShapeProto::bytes).sum(),
            shapes: arrays.into_iter().map(|array| array.dimensions).collect(),
            group_size: instruction.group_size(),
            op_name: instruction.metadata.clone().unwrap_or_default().op_name,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct HloModuleProtoWithConfig {
    #[prost(message, optional, tag = "1")]
    hlo_module: Option<HloModuleProto>,
}

#[derive(Clone, PartialEq, Message)]
struct HloModuleProto {
    #[prost(message, repeated, tag = "3")]
    computations: Vec<HloComputationProto>,
}

#[derive(Clone, PartialEq, Message)]
struct HloComputationProto {
    #[prost(message, repeated, tag = "2")]
    instructions: Vec<HloInstructionProto>,
}

#[derive(Clone, PartialEq, Message)]
struct HloInstructionProto {
    #[prost(string, tag = "2")]
    opcode: String,
    #[prost(message, optional, tag = "3")]
    shape: Option<ShapeProto>,
    #[prost(message, optional, tag = "7")]
    metadata: Option<OpMetadata>,
    #[prost(message, repeated, tag = "49")]
    replica_groups: Vec<ReplicaGroup>,
    #[prost(message, optional, tag = "87")]
    listed: Option<CollectiveDeviceListProto>,
    #[prost(message, optional, tag = "92")]
    iota: Option<IotaReplicaGroupListProto>,
    #[prost(message, optional, tag = "93")]
    mesh_axes: Option<MeshAxesReplicaGroupListProto>,
}

impl HloInstructionProto {
    /// Devices in a group, whichever way the plugin's version of XLA lists the groups; 0 if it does not, as all
    /// devices are one group.
    fn group_size(&self) -> usize {
        let listed = self.listed.clone().unwrap_or_default();
        let iota = self.iota.as_ref().or(listed.iota.as_ref());
        let groups = self.replica_groups.first().or(listed.replica_groups.first());
        match (&self.mesh_axes, iota, groups) {
            (Some(mesh_axes), _, _) => mesh_axes.group_size(),
            (None, Some(iota), _) => iota.num_devices_per_group as usize,
            (None, None, Some(group)) => group.replica_ids.len(),
            (None, None, None) => 0,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct ShapeProto {
    /// `xla.PrimitiveType`.
    #[prost(int32, tag = "2")]
    element_type: i32,
    #[prost(int64, repeated, tag = "3")]
    dimensions: Vec<i64>,
    #[prost(message, repeated, tag = "4")]
    tuple_shapes: Vec<ShapeProto>,
}

impl ShapeProto {
    fn bytes(&self) -> usize {
        let width = match self.element_type {
            1..=2 | 6 => 1,
            3 | 7 | 10 | 16 => 2,
            4 | 8 | 11 => 4,
            5 | 9 | 12 => 8,
            other => panic!("a collective of element type {other}"),
        };
        self.dimensions.iter().product::<i64>() as usize * width
    }
}

#[derive(Clone, PartialEq, Message)]
struct OpMetadata {
    #[prost(string, tag = "2")]
    op_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ReplicaGroup {
    #[prost(int64, repeated, tag = "1")]
    replica_ids: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct CollectiveDeviceListProto {
    #[prost(message, repeated, tag = "1")]
    replica_groups: Vec<ReplicaGroup>,
    #[prost(message, optional, tag = "2")]
    iota: Option<IotaReplicaGroupListProto>,
}

#[derive(Clone, PartialEq, Message)]
struct IotaReplicaGroupListProto {
    #[prost(int64, tag = "1")]
    num_replica_groups: i64,
    #[prost(int64, tag = "2")]
    num_devices_per_group: i64,
}

/// Groups of the devices that differ in some axes of a mesh alone.
#[derive(Clone, PartialEq, Message)]
struct MeshAxesReplicaGroupListProto {
    #[prost(message, optional, tag = "1")]
    mesh: Option<MeshProto>,
    #[prost(message, repeated, tag = "2")]
    axes: Vec<AxisRefProto>,
}

impl MeshAxesReplicaGroupListProto {
    fn group_size(&self) -> usize {
        let mesh = self.mesh.clone().unwrap_or_default();
        let size = |axis: &AxisRefProto| match &axis.sub_axis {
            Some(sub_axis) => sub_axis.size,
            None => mesh.axes[axis.index as usize].size,
        };
        self.axes.iter().map(size).product::<i64>() as usize
    }
}

#[derive(Clone, PartialEq, Message)]
struct MeshProto {
    #[prost(message, repeated, tag = "1")]
    axes: Vec<MeshAxisProto>,
}

#[derive(Clone, PartialEq, Message)]
struct MeshAxisProto {
    #[prost(int64, tag = "2")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
struct AxisRefProto {
    #[prost(int64, tag = "1")]
    index: i64,
    #[prost(message, optional, tag = "2")]
    sub_axis: Option<SubAxisProto>,
}

#[derive(Clone, PartialEq, Message)]
struct SubAxisProto {
    #[prost(int64, tag = "2")]
    size: i64,
}
