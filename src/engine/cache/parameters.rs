//! The parameters of an executable beside it, so that the plugin is not asked for them at every start.

use lapidary_runtime::{ElementType, Parameter, Shape};
use serde::{Deserialize, Serialize};

/// A parameter as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    element_type: String,
    dims: Vec<usize>,
    aliased_output: Option<usize>,
}

/// As JSON; `null` where the plugin does not tell them.
pub(super) fn to_bytes(parameters: Option<&[Parameter]>) -> Vec<u8> {
    let write = |Parameter { shape, aliased_output }: &Parameter| Written {
        element_type: shape.element_type.name().to_owned(),
        dims: shape.dims.clone(),
        aliased_output: *aliased_output,
    };
    let written = parameters.map(|parameters| parameters.iter().map(write).collect::<Vec<_>>());
    // Numbers and strings have a form in JSON.
    serde_json::to_vec(&written).unwrap_or_default()
}

/// What [`to_bytes`] wrote; outwardly `None` if this is not it.
pub(super) fn from_bytes(bytes: &[u8]) -> Option<Option<Vec<Parameter>>> {
    let read = |Written { element_type, dims, aliased_output }| {
        let element_type = ElementType::from_name(&element_type)?;
        Some(Parameter { shape: Shape::new(element_type, dims), aliased_output })
    };
    match serde_json::from_slice::<Option<Vec<Written>>>(bytes).ok()? {
        None => Some(None),
        Some(written) => written.into_iter().map(read).collect::<Option<Vec<_>>>().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let all = ElementType::ALL.iter().enumerate().map(|(index, &element_type)| Parameter {
            shape: Shape::new(element_type, vec![3; index % 4]),
            aliased_output: (index % 2 == 0).then_some(index),
        });
        let all = all.collect::<Vec<_>>();
        assert_eq!(from_bytes(&to_bytes(Some(&all))), Some(Some(all)));
        assert_eq!(from_bytes(&to_bytes(None)), Some(None));
        assert_eq!(from_bytes(b"[{}]"), None);
        assert_eq!(from_bytes(br#"[{"element_type":"f17","dims":[],"aliased_output":null}]"#), None);
    }
}
