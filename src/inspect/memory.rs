//! Memory of a program by kind.

use lapidary_hlo::{Module, Parameter, Report};
use serde::Serialize;

use super::open::CompilerMemory;
use super::window;
use crate::target::TargetSpec;

/// Memory that a program needs on one device, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ProgramMemory {
    /// Parameters with a checkpoint's names.
    pub weights_bytes: u64,
    /// Parameters that are donated, or are called a cache.
    pub kv_cache_bytes: u64,
    /// What they would take beyond that if every layer held as many positions as the one that holds most.
    pub kv_cache_saved_bytes: u64,
    /// The other parameters.
    pub inputs_bytes: u64,
    /// Results that take over no parameter's memory.
    pub results_bytes: u64,
    /// Values in between, as many as are alive together at most.
    pub temporaries_bytes: u64,
    /// Where that figure is from.
    pub temporaries_source: TemporariesSource,
    /// The program's code; `None` if nobody said.
    pub code_bytes: Option<u64>,
    /// All of it.
    pub total_bytes: u64,
    /// What the target's device has; `None` if that is not known.
    pub available_bytes: Option<u64>,
}

/// How the memory of temporaries is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TemporariesSource {
    /// The compiler's own figure, of what it allocates.
    Compiler,
    /// The lifetimes in the schedule. An allocator needs somewhat more, for gaps.
    Schedule,
}

enum Kind {
    Weight,
    KvCache,
    Input,
}

impl ProgramMemory {
    /// The memory of a program, of whose temporaries and code the compiler may have said more.
    pub(super) fn of(
        module: &Module,
        report: &Report,
        compiler: Option<CompilerMemory>,
        target: Option<&TargetSpec>,
    ) -> Self {
        let (mut weights, mut kv_cache, mut inputs) = (0_u64, 0_u64, 0_u64);
        for parameter in &report.parameters {
            let sum = match kind(parameter) {
                Kind::Weight => &mut weights,
                Kind::KvCache => &mut kv_cache,
                Kind::Input => &mut inputs,
            };
            *sum = sum.saturating_add(parameter.bytes);
        }
        let results = report.results.iter().filter(|result| !result.is_donated);
        let results = results.map(|result| result.bytes).fold(0, u64::saturating_add);
        let (temporaries, source) = match compiler {
            Some(compiler) => (compiler.temp_bytes, TemporariesSource::Compiler),
            None => (report.temporary_peak_bytes, TemporariesSource::Schedule),
        };
        let code = compiler.map(|compiler| compiler.generated_code_bytes);
        let kinds = [weights, kv_cache, inputs, results, temporaries, code.unwrap_or(0)];
        Self {
            weights_bytes: weights,
            kv_cache_bytes: kv_cache,
            kv_cache_saved_bytes: window::saved_bytes(module, &report.parameters),
            inputs_bytes: inputs,
            results_bytes: results,
            temporaries_bytes: temporaries,
            temporaries_source: source,
            code_bytes: code,
            total_bytes: kinds.into_iter().fold(0, u64::saturating_add),
            available_bytes: target.and_then(TargetSpec::hardware).map(|hardware| hardware.memory_bytes),
        }
    }

    /// The kinds with their names, in the order in which a reader expects them. Code is left out if nobody knows.
    pub fn kinds(&self) -> Vec<(&'static str, u64)> {
        let mut kinds = vec![
            ("weights", self.weights_bytes),
            ("KV cache", self.kv_cache_bytes),
            ("inputs", self.inputs_bytes),
            ("results", self.results_bytes),
            ("temporaries", self.temporaries_bytes),
        ];
        kinds.extend(self.code_bytes.map(|bytes| ("code", bytes)));
        kinds
    }
}

fn kind(parameter: &Parameter) -> Kind {
    if parameter.is_donated || parameter.name.starts_with("cache.") {
        Kind::KvCache
    } else if parameter.name.starts_with("model.") || parameter.name.ends_with(".weight") {
        Kind::Weight
    } else {
        Kind::Input
    }
}
