//! Order of computations: those that are called before those that call them.

use std::collections::HashMap;

use super::RawComputation;
use crate::error::{Problem, ReadError};

/// How deep calls may nest. Compilers make three or four levels; the analyses recurse this deep.
const MAX_NESTING: usize = 64;

/// Numbers of the computations, callees first: in the order in which a walk from the entry leaves them, so that it
/// does not depend on the order in which they were written down.
pub(super) fn callees_first(
    computations: &[RawComputation],
    entry: Option<&str>,
) -> Result<Vec<usize>, ReadError> {
    let mut numbers: HashMap<&str, usize> = HashMap::with_capacity(computations.len());
    for (number, computation) in computations.iter().enumerate() {
        if numbers.insert(&computation.name, number).is_some() {
            return Err(computation.place().is(Problem::Duplicate));
        }
    }
    let callees = computations.iter().map(|c| callees(c, &numbers)).collect::<Result<Vec<_>, _>>()?;
    let mut starts: Vec<usize> = (0..computations.len()).collect();
    starts.sort_by_key(|&number| {
        (Some(computations[number].name.as_str()) != entry, &computations[number].name)
    });

    let mut walk = Walk {
        computations,
        callees: &callees,
        states: vec![State::New; computations.len()],
        order: Vec::with_capacity(computations.len()),
    };
    for start in starts {
        walk.from(start)?;
    }
    Ok(walk.order)
}

/// Numbers of the computations that one calls, in the order of its instructions.
fn callees(computation: &RawComputation, numbers: &HashMap<&str, usize>) -> Result<Vec<usize>, ReadError> {
    let mut callees = Vec::new();
    for instruction in &computation.instructions {
        for name in instruction.called.names() {
            let number = numbers.get(name.as_str()).copied();
            let missing = || computation.place_of(instruction).is(Problem::Computation(name.clone()));
            callees.push(number.ok_or_else(missing)?);
        }
    }
    Ok(callees)
}

#[derive(Clone, Copy)]
enum State {
    New,
    /// On the way from a start to where the walk is.
    Open,
    /// Left, with how deep calls nest in it.
    Done(usize),
}

struct Walk<'c> {
    computations: &'c [RawComputation],
    callees: &'c [Vec<usize>],
    states: Vec<State>,
    order: Vec<usize>,
}

impl Walk<'_> {
    /// Walks depth first through what is new, with a stack of its own: nothing limits yet how deep calls nest.
    fn from(&mut self, start: usize) -> Result<(), ReadError> {
        // The computations on the way, and how many callees of each were seen.
        let mut way = Vec::new();
        if let State::New = self.states[start] {
            self.states[start] = State::Open;
            way.push((start, 0));
        }
        while let Some((number, seen)) = way.last_mut() {
            let Some(&callee) = self.callees[*number].get(*seen) else {
                self.leave(*number)?;
                way.pop();
                continue;
            };
            *seen += 1;
            match self.states[callee] {
                State::New => {
                    self.states[callee] = State::Open;
                    way.push((callee, 0));
                }
                State::Open => return Err(self.computations[callee].place().is(Problem::Recursive)),
                State::Done(_) => {}
            }
        }
        Ok(())
    }

    fn leave(&mut self, number: usize) -> Result<(), ReadError> {
        let nesting = self.callees[number].iter().map(|&callee| match self.states[callee] {
            State::Done(nesting) => nesting + 1,
            State::New | State::Open => 0,
        });
        let nesting = nesting.max().unwrap_or(0);
        if nesting > MAX_NESTING {
            return Err(self.computations[number].place().is(Problem::Nesting(MAX_NESTING)));
        }
        self.states[number] = State::Done(nesting);
        self.order.push(number);
        Ok(())
    }
}
