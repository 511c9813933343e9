//! A run in full.

use serde::Serialize;

use super::format;
use super::{CompiledProgram, Compiling, Measurement, Peaks, Repetitions, Start};

/// What was measured, and where.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Model, devices and versions.
    #[serde(flatten)]
    pub setting: Setting,
    /// How often each test was run.
    pub repetitions: Repetitions,
    /// From nothing to the first token.
    pub start: Start,
    /// What the devices can do; `None` if that was not measured.
    pub peaks: Option<Peaks>,
    /// All programs that became executables.
    pub compiling: Compiling,
    /// Each of them, in the order in which they were ready.
    pub programs: Vec<CompiledProgram>,
    /// The most memory that this process had resident while it loaded and ran the model, in bytes; `None` where the
    /// system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// Whether all tests are here.
    pub complete: bool,
    /// The tests that were finished.
    pub tests: Vec<Measurement>,
}

/// What was measured on what.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Setting {
    /// The model, as it was asked for.
    pub model: String,
    /// Parameters.
    pub parameters: u64,
    /// Bytes of weights on all devices.
    pub weight_bytes: u64,
    /// Element type that the model runs in.
    pub dtype: String,
    /// Form of the KV cache; absent if it is in that type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cache: Option<String>,
    /// The devices, and how they are arranged if there are several.
    pub device: String,
    /// Processors that this process may use.
    pub threads: usize,
    /// Version of this program.
    pub lapidary_version: String,
    /// Version of the plugin.
    pub plugin_version: String,
    /// Version of the PJRT API that the plugin was built with.
    pub pjrt_api_version: String,
    /// `release` or `debug`.
    pub build: String,
    /// When the run began, in seconds since 1970 (UTC).
    pub unix_time_s: u64,
}

impl Report {
    /// Sets every figure beside what the devices can do, as far as that is known.
    pub fn relate(&mut self) {
        if let Some(peaks) = &self.peaks {
            self.start.relate(peaks, self.setting.weight_bytes);
            self.tests.iter_mut().for_each(|test| test.relate(peaks));
        }
    }

    /// Two tables in Markdown: the tests, and what they have in common. The date is left out, so that two runs differ
    /// in what was measured only.
    pub fn markdown(&self) -> String {
        format::markdown(self)
    }

    /// A line for each test, with all that is known of it and of the run, under a line of names (RFC 4180).
    pub fn csv(&self) -> String {
        format::csv(self)
    }
}
