//! Devices of collectives in protocol buffers. There are four ways to say which, one newer than the other.

use super::index;
use super::messages::{
    HloInstructionProto, IotaReplicaGroupListProto, MeshAxesReplicaGroupListProto, ReplicaGroup,
};
use crate::attributes::CollectiveAttributes;
use crate::error::Problem;
use crate::replica_groups::{MeshAxis, ReplicaGroups};

pub(super) fn read(proto: &HloInstructionProto) -> Result<CollectiveAttributes, Problem> {
    let pairs = proto.source_target_pairs.iter().map(|pair| (device(pair.source), device(pair.target)));
    Ok(CollectiveAttributes {
        channel: proto.channel_id,
        groups: groups(proto)?,
        source_target_pairs: pairs.collect(),
    })
}

fn device(id: i64) -> u64 {
    u64::try_from(id).unwrap_or(u64::MAX)
}

fn devices(ids: &[i64]) -> Vec<u64> {
    ids.iter().map(|&id| device(id)).collect()
}

fn groups(proto: &HloInstructionProto) -> Result<ReplicaGroups, Problem> {
    let listed = |groups: &[ReplicaGroup]| {
        ReplicaGroups(groups.iter().map(|group| devices(&group.replica_ids)).collect())
    };
    let list = proto.collective_device_list.as_ref();
    let numbered = list.and_then(|list| list.iota_replica_group_list.as_ref());
    if let Some(mesh) = &proto.mesh_axes_replica_group_list {
        return from_mesh(mesh).ok_or(Problem::ReplicaGroups);
    }
    if let Some(iota) = proto.iota_collective_device_list.as_ref().or(numbered) {
        return from_iota(iota).ok_or(Problem::ReplicaGroups);
    }
    match list {
        Some(list) if !list.replica_groups.is_empty() => Ok(listed(&list.replica_groups)),
        _ => Ok(listed(&proto.replica_groups)),
    }
}

fn from_iota(iota: &IotaReplicaGroupListProto) -> Option<ReplicaGroups> {
    let permutation: Vec<usize> = iota.iota_transpose_perm.iter().map(|&axis| index(axis.into())).collect();
    ReplicaGroups::from_iota(
        device(iota.num_replica_groups),
        device(iota.num_devices_per_group),
        &devices(&iota.iota_reshape_dims),
        &permutation,
    )
}

fn from_mesh(groups: &MeshAxesReplicaGroupListProto) -> Option<ReplicaGroups> {
    let mesh = groups.mesh.as_ref()?;
    let sizes: Vec<u64> = mesh.axes.iter().map(|axis| device(axis.size)).collect();
    let axes: Vec<MeshAxis> = groups
        .axes
        .iter()
        .map(|axis| MeshAxis {
            index: index(axis.mesh_axis_index),
            part: axis.sub_axis_info.as_ref().map(|part| (device(part.pre_size), device(part.size))),
        })
        .collect();
    ReplicaGroups::from_mesh(&sizes, &devices(&mesh.device_ids), &axes)
}
