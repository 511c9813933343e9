//! Plugins: shared libraries that implement the PJRT C API for a platform.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ffi::{self, api::Api};
use crate::{Attributes, Result};

/// Major version of the PJRT API that these bindings speak.
pub const API_MAJOR: i32 = 0;

/// Oldest minor version that is accepted. The bindings have the structs of 0.81, and plugins of that version
/// and later were tested with them; an older plugin lacks functions and fields that are taken for granted.
pub const MIN_API_MINOR: i32 = 81;

/// A version of the PJRT API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Incremented by incompatible changes.
    pub major: i32,
    /// Incremented by additions.
    pub minor: i32,
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A loaded and initialised plugin. Clones share it, and it stays loaded until the process ends.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<PluginInner>,
}

struct PluginInner {
    api: Api,
    path: PathBuf,
    attributes: Attributes,
}

impl Plugin {
    /// Loads the plugin at `path`.
    ///
    /// This runs the code in that file: load only plugins that you trust. Some plugins read environment
    /// variables while they load, so that these must be set before.
    ///
    /// # Errors
    /// [`PluginNotReadable`](crate::Error::PluginNotReadable),
    /// [`PluginNotLoadable`](crate::Error::PluginNotLoadable) or [`NotAPlugin`](crate::Error::NotAPlugin) if
    /// the file is not a plugin, [`IncompatibleApi`](crate::Error::IncompatibleApi) if its version is not
    /// supported, and the plugin's own error if it fails to initialise.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let api = ffi::load(path)?;
        let attributes = match api.attributes() {
            Err(error) if error.is_unsupported() => Attributes::new(),
            attributes => attributes?,
        };
        Ok(Self { inner: Arc::new(PluginInner { api, path: path.to_path_buf(), attributes }) })
    }

    /// Path that the plugin was loaded from.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Version of the PJRT API that the plugin implements.
    pub fn api_version(&self) -> ApiVersion {
        self.inner.api.version()
    }

    /// What the plugin says of itself, e.g. `xla_version` and `stablehlo_current_version`.
    pub fn attributes(&self) -> &Attributes {
        &self.inner.attributes
    }

    pub(crate) fn api(&self) -> &Api {
        &self.inner.api
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("path", &self.path())
            .field("api_version", &self.api_version())
            .finish()
    }
}
