//! `model.safetensors.index.json`: which shard holds which tensor.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::Deserialize;

/// Why an index is refused.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Not the JSON that an index is.
    #[error("not a safetensors index: expected {{\"weight_map\": {{tensor: file}}}}")]
    Json(#[source] serde_json::Error),
    /// It maps no tensor.
    #[error("`weight_map` is empty")]
    Empty,
    /// A file is named by a path that leaves the model's directory.
    #[error("tensor `{tensor}` is mapped to `{file}`, which is not the name of a file beside the index")]
    FileName {
        /// The tensor.
        tensor: String,
        /// The name given.
        file: String,
    },
}

#[derive(Deserialize)]
struct RawIndex {
    weight_map: BTreeMap<String, String>,
}

/// Reads the text of an index: file name by tensor name.
pub(super) fn parse(text: &[u8]) -> Result<BTreeMap<String, String>, IndexError> {
    let RawIndex { weight_map } = serde_json::from_slice(text).map_err(IndexError::Json)?;
    if weight_map.is_empty() {
        return Err(IndexError::Empty);
    }
    match weight_map.iter().find(|(_, file)| !is_plain_name(file)) {
        Some((tensor, file)) => Err(IndexError::FileName { tensor: tensor.clone(), file: file.clone() }),
        None => Ok(weight_map),
    }
}

/// A hostile index must not make us open `../../etc/...`.
fn is_plain_name(file: &str) -> bool {
    let mut components = Path::new(file).components();
    matches!(components.next(), Some(Component::Normal(name)) if name == file) && components.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_map_to_files() {
        let index = br#"{"metadata": {"total_size": 8}, "weight_map": {"a": "x.safetensors"}}"#;
        assert_eq!(parse(index).unwrap()["a"], "x.safetensors");
    }

    #[test]
    fn damaged_indexes_are_refused() {
        for text in [&b""[..], b"[]", b"{}", br#"{"weight_map": {"a": 1}}"#, b"\xff"] {
            assert!(matches!(parse(text), Err(IndexError::Json(_))));
        }
        assert!(matches!(parse(br#"{"weight_map": {}}"#), Err(IndexError::Empty)));
        for file in ["../x", "/etc/passwd", "a/b", "", ".", "x/"] {
            let text = format!(r#"{{"weight_map": {{"a": "{file}"}}}}"#);
            assert!(matches!(parse(text.as_bytes()), Err(IndexError::FileName { .. })), "{file}");
        }
    }
}
