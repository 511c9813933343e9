//! What a model takes on devices that need not be here: memory, whether it fits, and bounds on its speed.
//!
//! Nothing is compiled. Weights and KV cache are counted from a program's own signature, split as the program
//! text splits them; activations are an estimate. `docs/plan.md` has the formulas.

mod activations;
mod layout;
mod limits;
mod meshes;
mod roofline;
mod work;

#[cfg(test)]
mod tests;

use lapidary_graph::{DType, Function, Param};
use lapidary_lower::sharding::{RulesMismatch, ShardingReport};
use lapidary_lower::{Mesh, ShardingRules};
use lapidary_models::config::GemmaConfig;
use lapidary_models::program::{KvCache, ParamRole, Phase, ProgramError, ProgramShape, build};
use serde::{Serialize, Serializer};

use crate::engine::MAX_STEP_TOKENS;
use crate::target::{TargetError, TargetSpec, arranged};
use layout::Layout;

pub use limits::Limits;
pub use meshes::Suggestion;
pub use roofline::{Bound, PhasePlan, Roofline};
pub use work::{Collective, Work};

/// What to plan.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// The model.
    pub config: &'a GemmaConfig,
    /// Element type of activations, and of weights that are not encoded: bf16 or f32.
    pub dtype: DType,
    /// Form of the KV cache.
    pub kv_cache: KvCache,
    /// The devices.
    pub target: &'a TargetSpec,
    /// Their arrangement; `None` takes the fastest one that fits.
    pub mesh: Option<&'a Mesh>,
    /// How logical axes are split over the mesh.
    pub rules: &'a ShardingRules,
    /// Sequences that are decoded at the same time.
    pub batch: usize,
    /// Positions that each of them can hold.
    pub context: usize,
    /// Sequences that are prefilled at the same time, beside the cache of the batch.
    pub prefill_batch: usize,
    /// Tokens that each of them takes in one step; `None` for as many as the engine's longest step has, or the
    /// context if that is less.
    pub prefill_tokens: Option<usize>,
}

/// What a model takes.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Plan {
    /// Devices of the mesh.
    pub devices: usize,
    /// The mesh.
    #[serde(serialize_with = "mesh_text")]
    pub mesh: Mesh,
    /// Whether the mesh was chosen here rather than asked for.
    pub mesh_chosen: bool,
    /// Bytes on one device.
    pub memory: Memory,
    /// Whether they are no more than the device has; `None` if that is not known.
    pub fits: Option<bool>,
    /// Bytes that are left on one device, negative if they are missing.
    pub free_bytes: Option<i64>,
    /// How far batch and context can grow.
    pub limits: Option<Limits>,
    /// Decode and prefill.
    pub phases: Vec<PhasePlan>,
    /// Where the model does fit, if it does not here.
    pub suggestions: Vec<Suggestion>,
}

/// Bytes on one device; the same on every device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Memory {
    /// Weights as they are stored, padding and copies included.
    pub weights_bytes: u64,
    /// KV cache of the batch.
    pub kv_cache_bytes: u64,
    /// What the KV cache would take beyond that if local layers kept all positions.
    pub kv_cache_saved_bytes: u64,
    /// Estimate of the most that a step needs besides: temporaries, and the cache of a prefill.
    pub activations_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
    /// What the device has; `None` if that is not known.
    pub available_bytes: Option<u64>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Sizes that make no program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Rows beyond counting.
    #[error("a batch of {batch} sequences is beyond planning: give at most {max}", max = limits::MAX_BATCH)]
    Batch {
        /// Sequences asked for.
        batch: usize,
    },
    /// A mesh and rules that do not go together.
    #[error(transparent)]
    Rules(#[from] RulesMismatch),
    /// A mesh that is not the target's.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Devices over which the rules split nothing.
    #[error("no mesh of {devices} devices goes with these sharding rules: give one")]
    NoMesh {
        /// Devices of the target.
        devices: usize,
    },
}

/// Plans a model on a target.
///
/// # Errors
/// If the sizes make no program of this model, or mesh, rules and target do not go together.
pub fn plan(request: &PlanRequest<'_>) -> Result<Plan, PlanError> {
    for batch in [request.batch, request.prefill_batch] {
        if batch > limits::MAX_BATCH {
            return Err(PlanError::Batch { batch });
        }
    }
    let sizes = Sizes::of(request);
    let config = arranged(request.config, request.target.lowering());
    let program = build(&config, &sizes.decode)?;
    // For its errors alone: what is counted of a prefill follows from its sizes.
    build(&config, &sizes.prefill)?;

    let mesh = match request.mesh {
        Some(mesh) => {
            request.rules.check(mesh)?;
            request.target.check_mesh(mesh)?;
            mesh.clone()
        }
        None => meshes::best(request, &program, &sizes)?,
    };
    let layout = Layout::new(request, &program, &mesh);
    let hardware = request.target.hardware();
    let memory = memory(&layout, &sizes, hardware.map(|hardware| hardware.memory_bytes));
    let fits = memory.available_bytes.map(|available| memory.total_bytes <= available);
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let phases = [sizes.decode, sizes.prefill].into_iter();
    Ok(Plan {
        devices: mesh.num_devices(),
        mesh_chosen: request.mesh.is_none(),
        fits,
        free_bytes: memory
            .available_bytes
            .map(|available| signed(available).saturating_sub(signed(memory.total_bytes))),
        limits: hardware.map(|hardware| Limits::find(&layout, &sizes, hardware.memory_bytes)),
        phases: phases.map(|shape| PhasePlan::of(&layout, &shape, hardware.as_ref())).collect(),
        suggestions: match fits {
            Some(false) => meshes::suggestions(request, &program, &sizes),
            Some(true) | None => Vec::new(),
        },
        memory,
        mesh,
    })
}

/// How the parameters of the decode program lie on the devices of `mesh`.
///
/// # Errors
/// If the sizes make no program of this model.
pub fn sharding_report(request: &PlanRequest<'_>, mesh: &Mesh) -> Result<ShardingReport, PlanError> {
    let config = arranged(request.config, request.target.lowering());
    let program = build(&config, &Sizes::of(request).decode)?;
    let entry = program.module.entry().and_then(|entry| program.module.function(entry));
    let roles = &program.signature.params;
    let role = |param: &Param| {
        let spec = roles.iter().find(|spec| spec.name == param.name)?;
        let role = match spec.role {
            ParamRole::Weight(_) => "weight",
            ParamRole::Input(_) => "input",
            ParamRole::State { .. } => "state",
        };
        Some(role.to_string())
    };
    Ok(ShardingReport::new(entry.unwrap_or(&Function::default()), mesh, request.rules, role))
}

/// A mesh as `data=2,model=4`, or null for one device.
fn mesh_text<S: Serializer>(mesh: &Mesh, serializer: S) -> Result<S::Ok, S::Error> {
    Some(mesh).filter(|mesh| mesh.num_devices() > 1).map(Mesh::to_string).serialize(serializer)
}

/// The programs that are planned.
#[derive(Clone, Copy)]
struct Sizes {
    decode: ProgramShape,
    prefill: ProgramShape,
    /// Tokens of a prefill whose context is no shorter.
    step_tokens: usize,
}

impl Sizes {
    fn of(request: &PlanRequest<'_>) -> Self {
        let PlanRequest { dtype, kv_cache, batch, context, prefill_batch, prefill_tokens, .. } = *request;
        let tokens = prefill_tokens.unwrap_or(MAX_STEP_TOKENS.min(context));
        Self {
            decode: ProgramShape {
                phase: Phase::Decode,
                batch,
                tokens: 1,
                capacity: context,
                dtype,
                kv_cache,
            },
            prefill: ProgramShape {
                phase: Phase::Prefill,
                batch: prefill_batch,
                tokens,
                capacity: context,
                dtype,
                kv_cache,
            },
            step_tokens: prefill_tokens.unwrap_or(MAX_STEP_TOKENS),
        }
    }

    /// The same for another batch and context.
    fn with(&self, batch: usize, context: usize) -> Self {
        let tokens = self.step_tokens.min(context);
        Self {
            decode: ProgramShape { batch, capacity: context, ..self.decode },
            prefill: ProgramShape { tokens, capacity: context, ..self.prefill },
            ..*self
        }
    }
}

fn memory(layout: &Layout<'_>, sizes: &Sizes, available_bytes: Option<u64>) -> Memory {
    let weights_bytes = layout.weight_bytes();
    let kv_cache_bytes = layout.cache_bytes(&sizes.decode);
    let decode = activations::bytes(layout, &sizes.decode);
    // A prefill fills a cache of its own while that of the batch stays.
    let prefill =
        activations::bytes(layout, &sizes.prefill).saturating_add(layout.cache_bytes(&sizes.prefill));
    let activations_bytes = decode.max(prefill);
    Memory {
        weights_bytes,
        kv_cache_bytes,
        kv_cache_saved_bytes: layout.unwindowed_cache_bytes(&sizes.decode).saturating_sub(kv_cache_bytes),
        activations_bytes,
        total_bytes: weights_bytes.saturating_add(kv_cache_bytes).saturating_add(activations_bytes),
        available_bytes,
    }
}
