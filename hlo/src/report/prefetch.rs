//! Copies into on-chip memory across runs.
//!
//! A compiler may load a parameter into on-chip memory at the very start, mark that copy with
//! `cross_program_prefetch_index`, and load the same parameter again at the very end, for the next run. If the same
//! program ran before, the runtime skips the copy at the start. In a row of runs, then, each loads the parameter
//! once: the copy at the end counts, and the one at the start does not. Without a copy at the end the one at the
//! start does the loading.

use crate::module::{Computation, InstructionId};
use crate::opcode::Opcode;

/// The copies that an earlier run has done.
pub(super) fn done_by_earlier_run(entry: &Computation) -> Vec<InstructionId> {
    let users = entry.users();
    let copies = || entry.instructions().filter(|(_, i)| i.opcode == Opcode::CopyStart);
    let is_for_next_run = |id: InstructionId| {
        let ends = &users[id.0 as usize];
        ends.iter().all(|end| users[end.0 as usize].is_empty() && *end != entry.root)
    };
    let marked = copies().filter(|(_, copy)| copy.attributes.cross_program_prefetch.is_some());
    let repeated = marked.filter(|(marked_id, marked)| {
        copies().any(|(id, copy)| id != *marked_id && copy.operands == marked.operands && is_for_next_run(id))
    });
    repeated.map(|(id, _)| id).collect()
}
