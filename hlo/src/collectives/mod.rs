//! Collectives: what is exchanged, among whom, and what that costs the interconnect.

mod axes;

use serde::Serialize;

use crate::module::{Computation, Instruction};
use crate::opcode::{CollectiveKind, Opcode};
pub use axes::{MeshAxis, MeshShape};

/// A collective of a program.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Collective {
    /// Name of the instruction.
    pub name: String,
    /// What it does.
    pub kind: CollectiveKind,
    /// Where in the model it comes from, if that is known.
    pub path: Option<String>,
    /// How often it runs.
    pub times: u64,
    /// Bytes that each device ends up with from one run; of a reduce-scatter those that it puts in.
    pub bytes: u64,
    /// Bytes that a device sends in one run over a ring ([`sent_bytes`]).
    pub sent_bytes: u64,
    /// Devices in a group; `None` if all devices are one group and nobody said how many there are.
    pub group_size: Option<u64>,
    /// Mesh axes along which it communicates, if a mesh was given and the groups are those of axes.
    pub axes: Option<Vec<String>>,
    /// Whether it has a start and an end, between which other instructions may run.
    pub asynchronous: bool,
    /// Number of its channel; 0 if it has none.
    pub channel: i64,
}

impl Collective {
    /// The collective that an instruction is, or starts.
    pub(crate) fn read(
        computation: &Computation,
        instruction: &Instruction,
        mesh: Option<&MeshShape>,
    ) -> Option<Self> {
        let (kind, asynchronous) = match instruction.opcode {
            Opcode::Collective(kind) => (kind, false),
            Opcode::CollectiveStart(kind) => (kind, true),
            _ => return None,
        };
        let attributes = &instruction.attributes.collective;
        let bytes = match kind {
            CollectiveKind::ReduceScatter => {
                let operands = instruction.operands.iter().map(|&id| computation.instruction(id));
                operands.map(|operand| operand.shape.unpadded_bytes()).fold(0, u64::saturating_add)
            }
            _ => instruction.result().map_or(0, |result| result.unpadded_bytes()),
        };
        let permutes = kind == CollectiveKind::CollectivePermute;
        let group_size = match permutes {
            true => Some(2),
            false => attributes.groups.group_size().or_else(|| mesh.map(MeshShape::devices)),
        };
        let axes = mesh.and_then(|mesh| match permutes {
            true => mesh.axes_of_pairs(&attributes.source_target_pairs),
            false => mesh.axes_of_groups(&attributes.groups),
        });
        Some(Self {
            name: instruction.name.clone(),
            kind,
            path: None,
            times: 1,
            bytes,
            sent_bytes: sent_bytes(kind, bytes, group_size),
            group_size,
            axes,
            asynchronous,
            channel: attributes.channel,
        })
    }
}

/// Bytes that each of `n` devices sends over a ring, the optimum for large messages (Patarasuk and Yuan, 2009,
/// "Bandwidth optimal all-reduce algorithms"), `bytes` being those of [`Collective::bytes`]:
///
/// - all-reduce: `2 (n-1)/n x bytes`, a reduce-scatter and an all-gather;
/// - all-gather, reduce-scatter, all-to-all: `(n-1)/n x bytes`;
/// - broadcast, permutation: `bytes`.
///
/// A group of unknown size is taken to be large.
pub fn sent_bytes(kind: CollectiveKind, bytes: u64, group_size: Option<u64>) -> u64 {
    let others = match group_size {
        Some(n) => {
            let n = n.max(1);
            u64::try_from(u128::from(bytes) * u128::from(n - 1) / u128::from(n)).unwrap_or(bytes)
        }
        None => bytes,
    };
    match kind {
        CollectiveKind::AllReduce => others.saturating_mul(2),
        CollectiveKind::AllGather
        | CollectiveKind::AllToAll
        | CollectiveKind::RaggedAllToAll
        | CollectiveKind::ReduceScatter => others,
        CollectiveKind::CollectiveBroadcast | CollectiveKind::CollectivePermute => bytes,
    }
}
