//! The parameters of a program: inputs, KV cache and weights.

use std::collections::HashMap;

use lapidary_graph::nn::{CacheHalf, EncodedWeight, Weight};
use lapidary_graph::{DType, FunctionBuilder, LogicalAxes, TensorType, ValueId};

use super::axes::weight_axes;
use super::{Input, ParamRole, ParamSpec, Phase, ProgramShape, SamplerShape, StateKind};
use crate::config::GemmaConfig;
use crate::dtype::{StoredDtype, TensorDtype};
use crate::encoding::WeightPart;
use crate::weights::{WeightRole, weight_tensors};

/// The entry function's parameters and where to find them.
#[derive(Clone)]
pub(super) struct Params {
    specs: Vec<ParamSpec>,
    values: Vec<ValueId>,
    weights: HashMap<(WeightRole, Option<usize>, WeightPart), usize>,
    inputs: HashMap<Input, usize>,
    states: HashMap<(usize, StateKind), usize>,
}

impl Params {
    /// Declares inputs, then the KV cache, then the weights in the order that a forward pass meets them.
    pub(super) fn declare(b: &mut FunctionBuilder<'_>, config: &GemmaConfig, shape: &ProgramShape) -> Self {
        let mut params = Self {
            specs: Vec::new(),
            values: Vec::new(),
            weights: HashMap::new(),
            inputs: HashMap::new(),
            states: HashMap::new(),
        };
        let per_row = TensorType::new(DType::S32, [shape.batch]);
        let per_token = TensorType::new(DType::S32, [shape.batch, shape.tokens]);
        params.add_input(b, Input::Tokens, &per_token, &["batch", "seq"]);
        params.add_input(b, Input::Start, &per_row, &["batch"]);
        params.add_input(b, Input::Count, &per_row, &["batch"]);
        if matches!(shape.phase, Phase::Score { .. }) {
            params.add_input(b, Input::Targets, &per_token, &["batch", "seq"]);
        }
        if let Some(sampler) = shape.phase.sampler() {
            params.add_sampling(b, shape, sampler);
        }
        for (layer, &attention) in config.layer_kinds.iter().enumerate() {
            for &kind in shape.kv_cache.kinds() {
                let name = format!("cache.{layer}.{}", kind.name());
                let (role, ty) =
                    (ParamRole::State { layer, kind }, shape.cache_type(config, attention, kind));
                let index = params.add(b, name, role, ty, kind.axes());
                params.states.insert((layer, kind), index);
            }
        }
        for tensor in weight_tensors(config) {
            let key = (tensor.weight.role, tensor.weight.layer, tensor.part);
            let axes = weight_axes(&tensor);
            let dtype = tensor.dtype.map_or(shape.dtype, graph_dtype);
            let ty = TensorType::new(dtype, tensor.dims.clone());
            let index = params.add(b, tensor.name.clone(), ParamRole::Weight(tensor), ty, axes);
            params.weights.insert(key, index);
        }
        params
    }

    /// Declares how each row's tokens are chosen and, where several may be, when it ends.
    fn add_sampling(&mut self, b: &mut FunctionBuilder<'_>, shape: &ProgramShape, sampler: SamplerShape) {
        let of = |dtype| TensorType::new(dtype, [shape.batch]);
        let rows: &[&str] = &["batch"];
        for (input, dtype) in [
            (Input::Temperature, DType::F32),
            (Input::TopK, DType::S32),
            (Input::TopP, DType::F32),
            (Input::MinP, DType::F32),
        ] {
            self.add_input(b, input, &of(dtype), rows);
        }
        self.add_input(b, Input::Seed, &TensorType::new(DType::U32, [shape.batch, 2]), &["batch", "word"]);
        if sampler.repetition_penalty {
            self.add_input(b, Input::RepetitionPenalty, &of(DType::F32), rows);
            let history = TensorType::new(DType::S32, [shape.batch, shape.capacity]);
            self.add_input(b, Input::History, &history, &["batch", "position"]);
        }
        if let Phase::SampledDecode { .. } = shape.phase {
            self.add_input(b, Input::Remaining, &of(DType::S32), rows);
            self.add_input(b, Input::StopAtEos, &of(DType::Pred), rows);
        }
    }

    fn add_input(&mut self, b: &mut FunctionBuilder<'_>, input: Input, ty: &TensorType, axes: &[&str]) {
        let (name, role) = (input.name().to_string(), ParamRole::Input(input));
        let index = self.add(b, name, role, ty.clone(), LogicalAxes::of(axes));
        self.inputs.insert(input, index);
    }

    fn add(
        &mut self,
        b: &mut FunctionBuilder<'_>,
        name: String,
        role: ParamRole,
        ty: TensorType,
        axes: LogicalAxes,
    ) -> usize {
        self.values.push(b.labelled_param(&name, ty.clone(), Some(axes.clone())));
        self.specs.push(ParamSpec { name, role, ty, axes, donated_to: None });
        self.specs.len() - 1
    }

    /// Donates a cache's buffer to the result that is the cache after the step.
    pub(super) fn donate(
        &mut self,
        b: &mut FunctionBuilder<'_>,
        layer: usize,
        kind: StateKind,
        result: usize,
    ) {
        if let Some(&param) = self.states.get(&(layer, kind)) {
            b.donate(param, result);
            if let Some(spec) = self.specs.get_mut(param) {
                spec.donated_to = Some(result);
            }
        }
    }

    /// All of them, in order.
    pub(super) fn values(&self) -> &[ValueId] {
        &self.values
    }

    /// The same parameters under other values: those that a loop carries in their stead.
    pub(super) fn under(&self, values: &[ValueId]) -> Self {
        Self { values: values.to_vec(), ..self.clone() }
    }

    /// The values of the next step: the same but for those of `inputs` and the state.
    pub(super) fn next(
        &self,
        inputs: &[(Input, ValueId)],
        states: &[(usize, StateKind, ValueId)],
    ) -> Vec<ValueId> {
        let mut values = self.values.clone();
        let inputs = inputs.iter().filter_map(|(input, value)| Some((*self.inputs.get(input)?, *value)));
        let states = states
            .iter()
            .filter_map(|&(layer, kind, value)| Some((*self.states.get(&(layer, kind))?, value)));
        for (index, value) in inputs.chain(states) {
            if let Some(slot) = values.get_mut(index) {
                *slot = value;
            }
        }
        values
    }

    /// A weight that is never encoded: that of a norm.
    pub(super) fn norm(&self, role: WeightRole, layer: Option<usize>) -> ValueId {
        self.value(self.weights.get(&(role, layer, WeightPart::Values)))
    }

    /// A matrix, in its encoding.
    pub(super) fn weight(&self, role: WeightRole, layer: Option<usize>) -> Weight {
        let part = |part| self.weights.get(&(role, layer, part));
        match part(WeightPart::Codes) {
            None => Weight::Dense(self.value(part(WeightPart::Values))),
            codes => Weight::Encoded(EncodedWeight {
                codes: self.value(codes),
                scales: self.value(part(WeightPart::Scales)),
                offsets: part(WeightPart::Offsets).map(|index| self.value(Some(index))),
            }),
        }
    }

    pub(super) fn state(&self, layer: usize, kind: StateKind) -> ValueId {
        self.value(self.states.get(&(layer, kind)))
    }

    /// A layer's keys.
    pub(super) fn cached_keys(&self, layer: usize) -> CacheHalf {
        self.cache_half(layer, StateKind::Keys, StateKind::KeyScales)
    }

    /// A layer's values.
    pub(super) fn cached_values(&self, layer: usize) -> CacheHalf {
        self.cache_half(layer, StateKind::Values, StateKind::ValueScales)
    }

    fn cache_half(&self, layer: usize, elements: StateKind, scales: StateKind) -> CacheHalf {
        let scales = self.states.get(&(layer, scales));
        CacheHalf {
            elements: self.state(layer, elements),
            scales: scales.map(|index| self.value(Some(index))),
        }
    }

    pub(super) fn input(&self, input: Input) -> ValueId {
        self.value(self.inputs.get(&input))
    }

    /// What each parameter is, for the signature.
    pub(super) fn into_specs(self) -> Vec<ParamSpec> {
        self.specs
    }

    /// An id outside the function for a parameter that was not declared: the builder reports its first use.
    fn value(&self, index: Option<&usize>) -> ValueId {
        index.and_then(|&i| self.values.get(i)).copied().unwrap_or(ValueId::new(usize::MAX))
    }
}

/// A program's name for the element type of a tensor that it takes as it is stored.
fn graph_dtype(dtype: TensorDtype) -> DType {
    match dtype {
        TensorDtype::Float(StoredDtype::F32) => DType::F32,
        TensorDtype::Float(StoredDtype::Bf16) => DType::BF16,
        TensorDtype::Float(StoredDtype::F16) => DType::F16,
        TensorDtype::I4 => DType::S4,
        TensorDtype::I8 => DType::S8,
        TensorDtype::U8 => DType::U8,
        TensorDtype::I32 => DType::S32,
        TensorDtype::I64 => DType::S64,
    }
}
