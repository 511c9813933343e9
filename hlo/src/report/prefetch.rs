//! Copies into on-chip memory across runs.
//!
//! A compiler may load a parameter into on-chip memory at the very start, mark that copy with
//! `cross_program_prefetch_index`, and load the same parameter again at the very end, for the next run. If the same
//! program ran before, the runtime skips the copy at the start. In a row of runs, then, each loads the parameter
//! once: the copy at the end counts, and the one at the start does not. Without a copy at the end the one at the
//! start does the loading.

use std::collections::HashMap;

use crate::module::{Computation, InstructionId};
use crate::opcode::Opcode;

/// The copies that an earlier run has done.
pub(super) fn done_by_earlier_run(entry: &Computation) -> Vec<InstructionId> {
    let users = entry.users();
    let copies = || entry.instructions().filter(|(_, instruction)| instruction.opcode == Opcode::CopyStart);
    let is_for_next_run = |id: InstructionId| {
        let ends = &users[id.0 as usize];
        ends.iter().all(|end| users[end.0 as usize].is_empty() && *end != entry.root)
    };
    let for_next_run: HashMap<&[InstructionId], InstructionId> = copies()
        .filter(|(id, _)| is_for_next_run(*id))
        .map(|(id, copy)| (copy.operands.as_slice(), id))
        .collect();
    let marked = copies().filter(|(_, copy)| copy.attributes.cross_program_prefetch.is_some());
    let repeated = marked
        .filter(|(id, copy)| for_next_run.get(copy.operands.as_slice()).is_some_and(|repeat| repeat != id));
    repeated.map(|(id, _)| id).collect()
}
