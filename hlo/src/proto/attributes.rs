//! Attributes in protocol buffers.

use super::messages::{HloInstructionProto, LiteralProto, WindowDimensionProto};
use super::{devices, index};
use crate::attributes::{
    Attributes, BackendConfig, Convolution, DotDimensions, Metadata, OutputAlias, WindowDimension,
};
use crate::error::Problem;

pub(super) fn read(proto: &HloInstructionProto) -> Result<Attributes, Problem> {
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let metadata = proto.metadata.clone().unwrap_or_default();
    let dot = proto.dot_dimension_numbers.as_ref();
    let aliases = proto.output_operand_aliasing.iter().map(|alias| OutputAlias {
        output: indices(&alias.output_shape_index),
        operand: index(alias.operand_index),
    });
    Ok(Attributes {
        metadata: Metadata {
            op_name: metadata.op_name,
            source_file: metadata.source_file,
            source_line: metadata.source_line.into(),
        },
        parameter: (proto.opcode == "parameter").then(|| index(proto.parameter_number)),
        tuple_index: (proto.opcode == "get-tuple-element").then(|| index(proto.tuple_index)),
        integer: proto.literal.as_ref().filter(|_| is_scalar(proto)).and_then(integer),
        direction: text(&proto.comparison_direction),
        fusion_kind: text(&proto.fusion_kind),
        custom_call_target: text(&proto.custom_call_target),
        dot: dot.map(|dot| DotDimensions { lhs_contracting: indices(&dot.lhs_contracting_dimensions) }),
        convolution: convolution(proto),
        collective: devices::read(proto)?,
        output_aliases: aliases.collect(),
        cross_program_prefetch: proto.cross_program_prefetch_index.map(i64::from),
        backend: BackendConfig::from_json(&String::from_utf8_lossy(&proto.backend_config)),
        control_predecessors: Vec::new(),
    })
}

fn indices(numbers: &[i64]) -> Vec<usize> {
    numbers.iter().map(|&number| index(number)).collect()
}

fn is_scalar(proto: &HloInstructionProto) -> bool {
    proto.shape.as_ref().is_some_and(|shape| shape.dimensions.is_empty())
}

fn integer(literal: &LiteralProto) -> Option<i64> {
    let signed = literal.s32s.first().map(|&value| value.into()).or(literal.s64s.first().copied());
    let unsigned = literal.u32s.first().map(|&value| value.into());
    let wide = || literal.u64s.first().and_then(|&value| i64::try_from(value).ok());
    signed.or(unsigned).or_else(wide)
}

fn convolution(proto: &HloInstructionProto) -> Option<Convolution> {
    let numbers = proto.convolution_dimension_numbers.as_ref()?;
    let window = proto.window.iter().flat_map(|window| &window.dimensions);
    Some(Convolution {
        input_spatial: indices(&numbers.input_spatial_dimensions),
        kernel_input_feature: index(numbers.kernel_input_feature_dimension),
        kernel_spatial: indices(&numbers.kernel_spatial_dimensions),
        output_spatial: indices(&numbers.output_spatial_dimensions),
        window: window.map(window_dimension).collect(),
    })
}

fn window_dimension(proto: &WindowDimensionProto) -> WindowDimension {
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    WindowDimension {
        size: unsigned(proto.size),
        stride: unsigned(proto.stride),
        padding_low: proto.padding_low,
        window_dilation: unsigned(proto.window_dilation),
        base_dilation: unsigned(proto.base_dilation),
    }
}
