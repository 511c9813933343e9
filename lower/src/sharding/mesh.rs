//! Device meshes.

use std::fmt;
use std::str::FromStr;

/// Devices arranged in a grid of named axes. Device `i` sits at the row-major coordinates of `i`: the last
/// axis varies fastest. The default has no axes: one device.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mesh {
    axes: Vec<(String, usize)>,
}

/// Axes that do not make a mesh.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MeshError {
    /// Text that is not `name=size,...`.
    #[error("`{0}` is not an axis and its size: write a mesh as `data=2,model=4`")]
    Syntax(String),
    /// A name that no axis can have.
    #[error("`{0}` cannot be the name of a mesh axis: write a letter, then letters, digits and `_`")]
    Name(String),
    /// An axis of no devices.
    #[error("mesh axis `{0}` has size 0: every axis has at least one device")]
    Empty(String),
    /// Two axes of one name.
    #[error("mesh axis `{0}` is given twice")]
    Duplicate(String),
    /// More devices than can be numbered.
    #[error("a mesh of more than {limit} devices is not supported")]
    TooLarge {
        /// Largest number of devices.
        limit: usize,
    },
}

/// Whether a mesh axis can have this name: a letter, then letters, digits and `_`.
pub(super) fn is_axis_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Mesh {
    /// Largest number of devices: PJRT numbers them with an i32.
    pub const MAX_DEVICES: usize = i32::MAX as usize;

    /// A mesh of these axes, major to minor.
    ///
    /// # Errors
    /// If a name is no identifier or comes twice, a size is 0, or there are too many devices.
    pub fn new(axes: impl IntoIterator<Item = (String, usize)>) -> Result<Self, MeshError> {
        let mut mesh = Self { axes: Vec::new() };
        let mut devices = 1usize;
        for (name, size) in axes {
            if !is_axis_name(&name) {
                return Err(MeshError::Name(name));
            }
            if size == 0 {
                return Err(MeshError::Empty(name));
            }
            if mesh.size(&name).is_some() {
                return Err(MeshError::Duplicate(name));
            }
            devices = devices
                .checked_mul(size)
                .filter(|&devices| devices <= Self::MAX_DEVICES)
                .ok_or(MeshError::TooLarge { limit: Self::MAX_DEVICES })?;
            mesh.axes.push((name, size));
        }
        Ok(mesh)
    }

    /// Axes and their sizes, major to minor.
    pub fn axes(&self) -> &[(String, usize)] {
        &self.axes
    }

    /// The size of the axis called `name`.
    pub fn size(&self, name: &str) -> Option<usize> {
        self.axes.iter().find(|(axis, _)| axis == name).map(|&(_, size)| size)
    }

    /// Number of devices.
    pub fn num_devices(&self) -> usize {
        self.axes.iter().map(|(_, size)| size).product()
    }

    /// The coordinate of a device on the axis called `name`; `None` if there is no such axis or device.
    pub fn coordinate(&self, device: usize, name: &str) -> Option<usize> {
        if device >= self.num_devices() {
            return None;
        }
        let position = self.axes.iter().position(|(axis, _)| axis == name)?;
        let minor: usize = self.axes.iter().skip(position + 1).map(|(_, size)| size).product();
        Some(device / minor % self.axes.get(position)?.1)
    }
}

impl FromStr for Mesh {
    type Err = MeshError;

    /// Reads `data=2,model=4`.
    fn from_str(text: &str) -> Result<Self, MeshError> {
        let axes = text.split(',').map(|axis| {
            let parsed = axis
                .split_once('=')
                .and_then(|(name, size)| Some((name.trim().to_string(), size.trim().parse().ok()?)));
            parsed.ok_or_else(|| MeshError::Syntax(axis.to_string()))
        });
        Mesh::new(axes.collect::<Result<Vec<_>, _>>()?)
    }
}

impl fmt::Display for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, size)) in self.axes.iter().enumerate() {
            write!(f, "{}{name}={size}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_survives_its_text() {
        for text in ["data=2,model=4", "model=1", "a=3,b=5,c=7"] {
            assert_eq!(text.parse::<Mesh>().unwrap().to_string(), text);
        }
        assert_eq!(" data = 2 , model=4 ".parse::<Mesh>().unwrap().to_string(), "data=2,model=4");
    }

    #[test]
    fn what_is_no_mesh_is_refused() {
        let error = |text: &str| text.parse::<Mesh>().unwrap_err();
        assert_eq!(error(""), MeshError::Syntax(String::new()));
        assert_eq!(error("model"), MeshError::Syntax("model".into()));
        assert_eq!(error("model=-1"), MeshError::Syntax("model=-1".into()));
        assert_eq!(error("a b=2"), MeshError::Name("a b".into()));
        assert_eq!(error("=2"), MeshError::Name(String::new()));
        assert_eq!(
            error("model=99999999999999999999999"),
            MeshError::Syntax("model=99999999999999999999999".into())
        );
        assert_eq!(error("data=2,model=0"), MeshError::Empty("model".into()));
        assert_eq!(error("data=2,data=4"), MeshError::Duplicate("data".into()));
        assert!(matches!(error("a=4294967296,b=4294967296"), MeshError::TooLarge { .. }));
    }

    #[test]
    fn the_last_axis_varies_fastest() {
        let mesh: Mesh = "data=2,model=3".parse().unwrap();
        let model: Vec<_> = (0..6).map(|d| mesh.coordinate(d, "model").unwrap()).collect();
        let data: Vec<_> = (0..6).map(|d| mesh.coordinate(d, "data").unwrap()).collect();
        assert_eq!(model, [0, 1, 2, 0, 1, 2]);
        assert_eq!(data, [0, 0, 0, 1, 1, 1]);
        assert_eq!(mesh.coordinate(6, "data"), None);
        assert_eq!(mesh.coordinate(0, "absent"), None);
    }
}
