//! What decides the outcome of a compilation besides the program and its options.

use std::io;
use std::path::Path;
use std::thread;

use lapidary_runtime::{Attributes, Client};

use super::key::{Key, KeyHasher};
use super::library::library_digest;
use super::processor::{self, ProcessorError};

/// Variables that XLA's compilers take flags from.
const FLAG_VARIABLES: [&str; 3] = ["XLA_FLAGS", "TF_XLA_FLAGS", "LIBTPU_INIT_ARGS"];

/// Why the executables of a client cannot be told apart from those of others.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlatformError {
    #[error("the plugin's library cannot be read: {0}")]
    Library(#[source] io::Error),
    #[error("this machine's processor cannot be told from others: {0}")]
    Processor(#[from] ProcessorError),
    /// A dump is made by compiling; an executable from the cache would leave none.
    #[error("{0} asks for a dump of what is compiled")]
    Dump(&'static str),
}

/// A plugin, its devices, this machine, and flags from the environment.
#[derive(Clone, Debug)]
pub(super) struct Platform {
    /// Digest of the plugin's library.
    library: String,
    api_version: String,
    plugin_attributes: String,
    name: String,
    version: String,
    process_index: i32,
    /// All devices with what the plugin says of them, such as where they are on a torus.
    devices: Vec<String>,
    /// The plugins compile for the very processor that they run on: its instruction sets and its caches.
    processor: String,
    /// XLA splits loops over as many threads as the process may use.
    cores: usize,
    /// [`FLAG_VARIABLES`] that are set.
    flags: Vec<(&'static str, Vec<u8>)>,
}

impl Platform {
    /// The platform of a client. `memo` is a directory to remember digests of libraries in.
    pub(super) fn of_client(client: &Client, memo: &Path) -> Result<Self, PlatformError> {
        let plugin = client.plugin();
        let devices = client.devices().iter().map(|device| {
            let about = device.description();
            let attributes = shown(&about.attributes);
            format!("{} {} {} {attributes}", about.id, about.process_index, about.kind)
        });
        Ok(Self {
            library: library_digest(plugin.path(), memo).map_err(PlatformError::Library)?,
            api_version: plugin.api_version().to_string(),
            plugin_attributes: shown(plugin.attributes()),
            name: client.platform_name().to_owned(),
            version: client.platform_version().to_owned(),
            process_index: client.process_index(),
            devices: devices.collect(),
            processor: processor::telling_lines()?,
            cores: thread::available_parallelism().map_or(0, usize::from),
            flags: flags()?,
        })
    }

    /// What stands for it in the keys of programs.
    pub(super) fn key(&self) -> Key {
        let Self {
            library,
            api_version,
            plugin_attributes,
            name,
            version,
            process_index,
            devices,
            processor,
            cores,
            flags,
        } = self;
        let key = KeyHasher::default()
            .ingredient("library", library)
            .ingredient("API version", api_version)
            .ingredient("plugin attributes", plugin_attributes)
            .ingredient("platform", name)
            .ingredient("platform version", version)
            .ingredient("process", process_index.to_le_bytes())
            .ingredient("processor", processor)
            .ingredient("cores", (*cores as u64).to_le_bytes());
        let key = devices.iter().fold(key, |key, device| key.ingredient("device", device));
        flags.iter().fold(key, |key, (name, value)| key.ingredient(name, value)).finish()
    }
}

/// Attributes in the order of their names.
fn shown(attributes: &Attributes) -> String {
    attributes.iter().map(|(name, value)| format!("{name}={value};")).collect()
}

fn flags() -> Result<Vec<(&'static str, Vec<u8>)>, PlatformError> {
    let mut flags = Vec::new();
    for name in FLAG_VARIABLES {
        let Some(value) = std::env::var_os(name) else { continue };
        let mut value = value.into_encoded_bytes();
        // A value that does not begin with a dash names a file of flags.
        if let Some(text) = std::str::from_utf8(&value).ok().filter(|text| !text.starts_with('-')) {
            value.extend(std::fs::read(text.trim()).unwrap_or_default());
        }
        if asks_for_dump(&value) {
            return Err(PlatformError::Dump(name));
        }
        flags.push((name, value));
    }
    Ok(flags)
}

fn asks_for_dump(flags: &[u8]) -> bool {
    const DUMP: &[u8] = b"--xla_dump";
    flags.windows(DUMP.len()).any(|window| window == DUMP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform() -> Platform {
        Platform {
            library: "digest".to_owned(),
            api_version: "0.81".to_owned(),
            plugin_attributes: "xla_version=1;".to_owned(),
            name: "cpu".to_owned(),
            version: "1".to_owned(),
            process_index: 0,
            devices: vec!["0 0 cpu ".to_owned()],
            processor: "flags : avx2".to_owned(),
            cores: 2,
            flags: vec![("XLA_FLAGS", b"--xla_a".to_vec())],
        }
    }

    #[test]
    fn every_ingredient_changes_the_key() {
        let changes: [fn(&mut Platform); 11] = [
            |platform| platform.library.push('2'),
            |platform| platform.api_version = "0.82".to_owned(),
            |platform| platform.plugin_attributes.clear(),
            |platform| platform.name = "tpu".to_owned(),
            |platform| platform.version = "2".to_owned(),
            |platform| platform.process_index = 1,
            |platform| platform.devices.push("1 0 cpu ".to_owned()),
            |platform| platform.processor.push_str(" avx512f"),
            |platform| platform.cores = 4,
            |platform| platform.flags.clear(),
            |platform| platform.flags = vec![("TF_XLA_FLAGS", b"--xla_a".to_vec())],
        ];
        let mut keys = vec![platform().key()];
        assert_eq!(keys, [platform().key()], "the same each time");
        for change in changes {
            let mut changed = platform();
            change(&mut changed);
            assert!(!keys.contains(&changed.key()), "{changed:?}");
            keys.push(changed.key());
        }
    }

    #[test]
    fn dumps_are_noticed() {
        assert!(asks_for_dump(b"--xla_cpu_x=true --xla_dump_to=there"));
        assert!(!asks_for_dump(b"--xla_cpu_x=true"));
    }
}
