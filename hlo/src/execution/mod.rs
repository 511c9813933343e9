//! How often each computation runs.

mod trip_count;

use serde::Serialize;

use crate::attributes::Called;
use crate::module::{ComputationId, Instruction, InstructionId, Module};
use crate::opcode::Opcode;

/// How often the computations of a module run when the program runs once.
pub(crate) struct Execution {
    /// For each computation; 0 for those that are applied to elements, fused, or not reached.
    times: Vec<u64>,
    /// Loops that were taken to run once because nothing says how often they do.
    pub unknown_loops: Vec<UnknownLoop>,
}

/// A loop of which the program does not say how often it runs; its body is counted once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct UnknownLoop {
    /// Name of the `while`.
    pub name: String,
    /// Name of its computation.
    pub computation: String,
}

/// Computations that an instruction runs, with how often.
enum Runs {
    All(Vec<(ComputationId, u64)>),
    OneOf(Vec<ComputationId>),
}

impl Execution {
    /// Counts runs. `cost` is what one run of a computation's own instructions costs: of a conditional's branches,
    /// that which costs most in all is the one that runs.
    pub(crate) fn of(module: &Module, cost: impl Fn(ComputationId) -> u64) -> Self {
        let mut unknown_loops = Vec::new();
        let mut totals: Vec<u64> = Vec::new();
        let mut runs: Vec<Vec<(ComputationId, u64)>> = Vec::new();
        // Callees come first, so that their totals are known.
        for (id, computation) in module.computations() {
            let mut of_this = Vec::new();
            for (instruction_id, instruction) in computation.instructions() {
                match runs_of(module, id, instruction_id, instruction) {
                    Some(Runs::All(runs)) => of_this.extend(runs),
                    Some(Runs::OneOf(branches)) => {
                        let dearest = branches.into_iter().max_by_key(|branch| totals[branch.0 as usize]);
                        of_this.extend(dearest.map(|branch| (branch, 1)));
                    }
                    None => {
                        unknown_loops.push(UnknownLoop {
                            name: instruction.name.clone(),
                            computation: computation.name.clone(),
                        });
                        of_this.extend(once(&instruction.called));
                    }
                }
            }
            let called =
                of_this.iter().map(|&(callee, times)| totals[callee.0 as usize].saturating_mul(times));
            totals.push(called.fold(cost(id), u64::saturating_add));
            runs.push(of_this);
        }

        let mut times = vec![0_u64; runs.len()];
        times[module.entry.0 as usize] = 1;
        for (caller, of_caller) in runs.iter().enumerate().rev() {
            for &(callee, runs) in of_caller {
                let callee = callee.0 as usize;
                times[callee] = times[callee].saturating_add(times[caller].saturating_mul(runs));
            }
        }
        Self { times, unknown_loops }
    }

    /// How often a computation of the module runs.
    pub(crate) fn times(&self, id: ComputationId) -> u64 {
        self.times[id.0 as usize]
    }
}

/// What an instruction runs; `None` if it is a loop and nobody knows how often.
fn runs_of(
    module: &Module,
    computation: ComputationId,
    id: InstructionId,
    instruction: &Instruction,
) -> Option<Runs> {
    match (&instruction.called, instruction.operation()) {
        (&Called::While { condition, body }, _) => {
            let trips = match instruction.attributes.backend.trip_count {
                Some(trips) => trips,
                None => trip_count::derive(module, module.computation(computation), id)?,
            };
            Some(Runs::All(vec![(condition, trips.saturating_add(1)), (body, trips)]))
        }
        (Called::Branches(branches), _) => Some(Runs::OneOf(branches.clone())),
        (&Called::ToApply(callee), Opcode::Call) => Some(Runs::All(vec![(callee, 1)])),
        (Called::ToApply(_) | Called::Calls(_) | Called::None, _) => Some(Runs::All(Vec::new())),
    }
}

fn once(called: &Called) -> Vec<(ComputationId, u64)> {
    match *called {
        Called::While { condition, body } => vec![(condition, 1), (body, 1)],
        _ => Vec::new(),
    }
}
