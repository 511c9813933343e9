//! Which part of the model an instruction belongs to.
//!
//! A program that names its scopes leaves them in the metadata of what the compiler makes: `op_name` is the path of
//! the scope, a slash and the operation (`layers.7.mlp.up_proj/dot_general`), and a parameter has its own name. What
//! the compiler adds itself (copies, prefetches) says nothing, and belongs to those who use it.

mod groups;

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::attributes::Called;
use crate::module::{Computation, Instruction, Module};
use crate::opcode::Opcode;
pub use groups::{GroupRule, Groups};

/// Model paths of the instructions of a computation.
pub(crate) fn paths(module: &Module, computation: &Computation) -> Vec<Option<String>> {
    let mut paths: Vec<Option<String>> =
        computation.instructions().map(|(_, instruction)| own_path(module, instruction)).collect();
    // From the last to the first, so that the path of a user is known, whatever stands between.
    for (id, users) in computation.users().iter().enumerate().rev() {
        if paths[id].is_none() {
            paths[id] = users.iter().find_map(|user| paths[user.0 as usize].clone());
        }
    }
    for (id, instruction) in computation.instructions() {
        if paths[id.0 as usize].is_none() {
            let source = instruction.operands.iter().find_map(|operand| paths[operand.0 as usize].clone());
            paths[id.0 as usize] = source;
        }
    }
    paths
}

fn own_path(module: &Module, instruction: &Instruction) -> Option<String> {
    let op_name = instruction.attributes.metadata.op_name.as_str();
    if instruction.opcode == Opcode::Parameter {
        return parameter_path(op_name);
    }
    // What comes to be named after a fusion is only its last operation.
    scope(op_name).or_else(|| match (instruction.operation(), &instruction.called) {
        (Opcode::Fusion, &Called::Calls(callee)) => path_within(module.computation(callee)),
        _ => None,
    })
}

/// The path of a fused dot, or else that of most of the instructions.
fn path_within(fused: &Computation) -> Option<String> {
    let of = |instruction: &Instruction| scope(&instruction.attributes.metadata.op_name);
    let is_dot = |instruction: &&Instruction| {
        matches!(instruction.opcode, Opcode::Dot | Opcode::Convolution) && of(instruction).is_some()
    };
    if let Some(dot) = fused.instructions.iter().find(is_dot) {
        return of(dot);
    }
    let mut counts: HashMap<String, (usize, Reverse<usize>)> = HashMap::new();
    for (place, path) in fused.instructions.iter().filter_map(of).enumerate() {
        counts.entry(path).or_insert((0, Reverse(place))).0 += 1;
    }
    // Of equals the first.
    counts.into_iter().max_by_key(|(_, rank)| *rank).map(|(path, _)| path)
}

/// The scope of an `op_name`: what stands before the last slash, without the transformations that JAX writes in front
/// (`jit(f)/...`). `None` if there is nothing.
pub(crate) fn scope(op_name: &str) -> Option<String> {
    let (scope, _) = op_name.rsplit_once('/')?;
    let parts: Vec<&str> = scope.split('/').filter(|part| !part.is_empty() && !part.contains('(')).collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// The path of a parameter: its name, without what checkpoints put around the module's (`model.`, `.weight`).
pub(crate) fn parameter_path(name: &str) -> Option<String> {
    let name = name.strip_prefix("model.").unwrap_or(name);
    let name = name.strip_suffix(".weight").unwrap_or(name);
    (!name.is_empty()).then(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        assert_eq!(scope("layers.7.mlp.up_proj/dot_general").as_deref(), Some("layers.7.mlp.up_proj"));
        assert_eq!(scope("jit(step)/jit(main)/decoder/mlp/dot").as_deref(), Some("decoder/mlp"));
        assert_eq!(scope("jit(step)/dot"), None);
        assert_eq!(scope("broadcast.25"), None);
        assert_eq!(scope(""), None);
    }

    #[test]
    fn parameters() {
        let path = parameter_path("model.layers.0.self_attn.q_proj.weight");
        assert_eq!(path.as_deref(), Some("layers.0.self_attn.q_proj"));
        assert_eq!(parameter_path("tokens").as_deref(), Some("tokens"));
        assert_eq!(parameter_path(""), None);
    }
}
