//! A model's parameters as a mesh splits them.

use lapidary_graph::{LogicalAxes, TensorType};
use lapidary_lower::sharding::AxisUnits;
use lapidary_lower::{Mesh, Sharding, ShardingRules, entry_shardings};
use lapidary_models::config::{AttentionKind, GemmaConfig};
use lapidary_models::encoding::{Arrangement, WeightPart, WeightTensor};
use lapidary_models::program::{Input, ParamRole, ParamSpec, Program, ProgramShape};
use lapidary_models::weights::WeightRole;

use super::PlanRequest;

/// The parameters of a program as a mesh splits them, and what they would be in programs of other sizes.
///
/// Weights are the same in all programs of a model. Of the others only some dimensions differ, which are bound
/// anew with the same axes, rules and units as the program's own.
pub(super) struct Layout<'a> {
    pub(super) config: &'a GemmaConfig,
    pub(super) mesh: &'a Mesh,
    rules: &'a ShardingRules,
    units: AxisUnits,
    params: &'a [ParamSpec],
    shardings: Vec<Sharding>,
}

/// What each device has of a step.
pub(super) struct LocalStep {
    /// Sequences.
    pub(super) rows: usize,
    /// Tokens of each.
    pub(super) tokens: usize,
}

/// What each device has of one layer's keys, or values.
pub(super) struct LocalCache {
    /// Positions.
    pub(super) slots: usize,
    /// How the positions are split.
    pub(super) sharding: Sharding,
}

impl<'a> Layout<'a> {
    pub(super) fn new(request: &PlanRequest<'a>, program: &'a Program, mesh: &'a Mesh) -> Self {
        let PlanRequest { config, rules, .. } = *request;
        // A built program has its entry; without one there would be no parameters either.
        let entry = program.module.entry().and_then(|entry| program.module.function(entry));
        Self {
            config,
            mesh,
            rules,
            units: entry.map(|entry| AxisUnits::of(entry, rules)).unwrap_or_default(),
            params: &program.signature.params,
            shardings: entry.map(|entry| entry_shardings(entry, mesh, rules).params).unwrap_or_default(),
        }
    }

    fn sharded_params(&self) -> impl Iterator<Item = (&ParamSpec, &Sharding)> {
        self.params.iter().zip(&self.shardings)
    }

    /// Every weight and how it is split: its values, or its codes.
    pub(super) fn weights(&self) -> impl Iterator<Item = (&WeightTensor, &Sharding)> {
        self.sharded_params().filter_map(|(param, sharding)| match &param.role {
            ParamRole::Weight(tensor) => match tensor.part {
                WeightPart::Values | WeightPart::Codes => Some((tensor, sharding)),
                WeightPart::Scales | WeightPart::Offsets => None,
            },
            ParamRole::Input(_) | ParamRole::State { .. } => None,
        })
    }

    /// Bytes of the weights on each device, codes and scales as they are.
    pub(super) fn weight_bytes(&self) -> u64 {
        let weights = self.sharded_params().filter(|(param, _)| matches!(param.role, ParamRole::Weight(_)));
        sum(weights.map(|(param, sharding)| shard_bytes(&param.ty, sharding)))
    }

    /// Dimensions that each device has of the weights of a role; all layers have the same.
    pub(super) fn weight_shard(&self, role: WeightRole) -> [usize; 2] {
        let weight = self.weights().find(|(tensor, _)| tensor.weight.role == role);
        match weight.map(|(tensor, sharding)| elements(tensor, sharding)).as_deref() {
            Some([rows, columns]) => [*rows, *columns],
            _ => [0, 0],
        }
    }

    /// Bytes of the KV cache on each device in a program of `shape`.
    pub(super) fn cache_bytes(&self, shape: &ProgramShape) -> u64 {
        self.cache_bytes_of_kinds(shape, |kind| kind)
    }

    /// The same if local layers kept every position.
    pub(super) fn unwindowed_cache_bytes(&self, shape: &ProgramShape) -> u64 {
        self.cache_bytes_of_kinds(shape, |_| AttentionKind::Global)
    }

    fn cache_bytes_of_kinds(
        &self,
        shape: &ProgramShape,
        kind_of: impl Fn(AttentionKind) -> AttentionKind,
    ) -> u64 {
        let states = self.params.iter().filter_map(|param| {
            let ParamRole::State { layer, kind } = param.role else { return None };
            let attention = kind_of(*self.config.layer_kinds.get(layer)?);
            let ty = shape.cache_type(self.config, attention, kind);
            Some(shard_bytes(&ty, &self.bind(&param.axes, &ty)))
        });
        sum(states)
    }

    /// What each device has of the cache of a layer of this kind in a program of `shape`.
    pub(super) fn cache(&self, shape: &ProgramShape, kind: AttentionKind) -> Option<LocalCache> {
        let state = self.params.iter().find(|param| matches!(param.role, ParamRole::State { .. }))?;
        let ty = state.ty.with_dims(shape.cache_dims(self.config, kind));
        let sharding = self.bind(&state.axes, &ty);
        let slots = sharding.shard_shape().get(2).copied()?;
        Some(LocalCache { slots, sharding })
    }

    /// What each device has of a step of `shape`.
    pub(super) fn step(&self, shape: &ProgramShape) -> LocalStep {
        let tokens = self.params.iter().find(|param| param.role == ParamRole::Input(Input::Tokens));
        let local = tokens.map(|param| {
            let ty = param.ty.with_dims([shape.batch, shape.tokens]);
            self.bind(&param.axes, &ty).shard_shape()
        });
        match local.as_deref() {
            Some([rows, tokens]) => LocalStep { rows: *rows, tokens: *tokens },
            _ => LocalStep { rows: shape.batch, tokens: shape.tokens },
        }
    }

    fn bind(&self, axes: &LogicalAxes, ty: &TensorType) -> Sharding {
        self.rules.bind(Some(axes), ty, self.mesh, &self.units)
    }
}

/// Dimensions of what each device has of a weight, in elements: a byte of a row holds two codes of 4 bits, and groups of
/// inputs may have a dimension of their own.
pub(super) fn elements(tensor: &WeightTensor, sharding: &Sharding) -> Vec<usize> {
    let mut held = sharding.shard_shape();
    if let (Arrangement::Groups, &[groups, outputs, group]) = (tensor.arrangement, held.as_slice()) {
        return vec![outputs, groups * group];
    }
    for ((held, &stored), &elements) in held.iter_mut().zip(&tensor.dims).zip(&tensor.weight.dims) {
        *held *= elements.checked_div(stored).unwrap_or(1);
    }
    held
}

/// Bytes of one shard of a value.
fn shard_bytes(ty: &TensorType, sharding: &Sharding) -> u64 {
    ty.with_dims(sharding.shard_shape()).device_size() as u64
}

fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}

/// The product of sizes; saturates.
pub(super) fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
}
