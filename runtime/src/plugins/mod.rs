//! Finding and installing the plugins that drive devices.
//!
//! A PJRT plugin is a shared library that someone else publishes. This module finds the file and fetches
//! it; it never loads it. [`find`] answers where the plugin is, [`discover`] tells everything that was
//! looked at (for `lapidary doctor`), and [`install`] fetches the version that [`Package::pinned`] names
//! through the user's own pip.
//!
//! ```no_run
//! use lapidary_runtime::plugins::{self, Environment, Error, InstallOptions, PluginKind};
//!
//! let environment = Environment::from_process();
//! let library = match plugins::find(&environment, PluginKind::Cpu, None) {
//!     Ok(plugin) => plugin.path,
//!     Err(Error::NotFound { .. }) => {
//!         let options = InstallOptions::default();
//!         plugins::install(&environment, PluginKind::Cpu, &options, &mut |_| ())?.library
//!     }
//!     Err(other) => return Err(other),
//! };
//! # let _ = library;
//! # Ok::<(), Error>(())
//! ```

mod companions;
mod discover;
mod download;
mod environment;
mod error;
mod install;
mod kind;
mod library;
mod piece;
mod pins;
mod platform;
mod process;
mod python;
mod record;
mod store;
#[cfg(all(test, target_os = "linux"))]
mod tests;
mod unpack;

pub use companions::{CompanionState, companions_beside};
pub use discover::{Candidate, LocatedPlugin, Problem, Source, discover, find};
pub use environment::{Environment, HOME_VARIABLE};
pub use error::Error;
pub use install::{Fetch, InstallOptions, Progress, Step, install, install_for, installed, remove, to_fetch};
pub use kind::PluginKind;
pub use library::Defect;
pub use pins::{Companion, Package, Use, Wheel};
pub use platform::Platform;
pub use store::InstalledPlugin;
