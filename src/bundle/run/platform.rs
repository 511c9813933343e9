//! Whether a bundle's executables are for what is here.

use lapidary_lower::Target;
use lapidary_runtime::Client;
use lapidary_runtime::plugins::PluginKind;

use super::{Bundle, Mismatch, RunError};
use crate::bundle::verify::version_in_words;
use crate::engine::cache::{ExecutableCache, Processor};

/// Features of a processor that a message names.
const NAMED_FEATURES: usize = 4;

impl Bundle {
    /// Checks that the programs are for the client's platform and that there are devices enough, without which not even
    /// compiling again helps.
    pub(super) fn check_platform(&self, client: &Client) -> Result<(), RunError> {
        let here = Target::of_platform(client.platform_name());
        if here.is_none_or(|target| target.name != self.manifest.target.table) {
            let (bundle, here) = (self.manifest.target.table.clone(), client.platform_name().to_string());
            return Err(self.refuses(Mismatch::Platform { bundle, here }));
        }
        let (bundle, here) = (self.mesh.num_devices(), client.devices().len());
        if here < bundle {
            return Err(self.refuses(Mismatch::DeviceCount { bundle, here }));
        }
        Ok(())
    }

    /// Why the executables are of no use on the client's devices, if they are not.
    pub(super) fn executables_mismatch(
        &self,
        client: &Client,
        plugin_version: Option<&str>,
        cache: &ExecutableCache,
    ) -> Result<Option<Mismatch>, RunError> {
        if let Some(mismatch) = self.plugin_mismatch(client, plugin_version, cache)? {
            return Ok(Some(mismatch));
        }
        if let Some(mismatch) = self.device_mismatch(client) {
            return Ok(Some(mismatch));
        }
        match self.kind {
            PluginKind::Cpu => self.processor_mismatch(),
            PluginKind::Tpu | PluginKind::Cuda => Ok(None),
        }
    }

    /// An executable is for the very library that made it.
    fn plugin_mismatch(
        &self,
        client: &Client,
        version: Option<&str>,
        cache: &ExecutableCache,
    ) -> Result<Option<Mismatch>, RunError> {
        let (bundle, path) = (&self.manifest.plugin, client.plugin().path());
        let library = cache.library_digest(path);
        let sha256 = library.map_err(|source| RunError::Library { path: path.to_owned(), source })?;
        Ok((sha256 != bundle.sha256).then(|| Mismatch::Plugin {
            kind: bundle.kind.clone(),
            bundle: version_in_words(bundle.version.as_deref(), &bundle.sha256),
            here: version_in_words(version, &sha256),
        }))
    }

    fn device_mismatch(&self, client: &Client) -> Option<Mismatch> {
        let wanted = &self.manifest.compile_options.device_assignment;
        if !wanted.iter().all(|id| client.device_ids().contains(id)) {
            let listed = |ids: &mut dyn Iterator<Item = i32>| {
                ids.map(|id| id.to_string()).collect::<Vec<_>>().join(", ")
            };
            return Some(Mismatch::DeviceIds {
                bundle: listed(&mut wanted.iter().copied()),
                here: listed(&mut client.device_ids().into_iter()),
            });
        }
        // Not recorded in the first bundles.
        let bundle = self.manifest.device_kind.as_ref()?;
        let used = client.devices().iter().filter(|device| wanted.contains(&device.id()));
        let mut kinds = used.map(|device| &device.description().kind);
        let here = kinds.find(|kind| *kind != bundle)?;
        Some(Mismatch::DeviceKind { bundle: bundle.clone(), here: here.clone() })
    }

    /// The CPU's compiler uses what the processor that it runs on has.
    fn processor_mismatch(&self) -> Result<Option<Mismatch>, RunError> {
        let Some(bundle) = &self.manifest.processor else { return Ok(Some(Mismatch::UnknownProcessor)) };
        let here = Processor::here()
            .map_err(|source| RunError::Processor { directory: self.directory.clone(), source })?;
        if bundle.architecture != here.architecture {
            return Ok(Some(Mismatch::Processor {
                missing: format!("the instructions of {}", bundle.architecture),
                bundle: bundle.name.clone(),
                here: format!("{}, {}", here.name, here.architecture),
            }));
        }
        let missing: Vec<&str> = bundle.features.difference(&here.features).map(String::as_str).collect();
        let more = match missing.len().saturating_sub(NAMED_FEATURES) {
            0 => String::new(),
            more => format!(" and {more} more of its features"),
        };
        let named: Vec<&str> = missing.into_iter().take(NAMED_FEATURES).collect();
        Ok((!named.is_empty()).then(|| Mismatch::Processor {
            bundle: bundle.name.clone(),
            here: here.name,
            missing: format!("{}{more}", named.join(", ")),
        }))
    }
}
