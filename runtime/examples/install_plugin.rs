//! Installs the named plugins (`cpu`, `tpu`, `cuda`) and prints where their libraries are.
//!
//! ```text
//! cargo run -p lapidary-runtime --example install_plugin -- cpu
//! ```

use lapidary_runtime::plugins::{self, Environment, Error, InstallOptions, PluginKind, Progress};

fn main() {
    for name in std::env::args().skip(1) {
        match install(&name) {
            Ok(path) => println!("{name}: {path}"),
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(2);
            }
        }
    }
}

fn install(name: &str) -> Result<String, Error> {
    let kind: PluginKind = name.parse()?;
    let mut phase = "";
    let mut say_each_phase_once = |progress: Progress| {
        let now = match progress {
            Progress::Waiting => "waiting for another installation",
            Progress::Downloading { .. } => "downloading",
            Progress::Verifying { .. } => "verifying",
            Progress::Unpacking { .. } => "unpacking",
        };
        if now != phase {
            eprintln!("{kind}: {now}");
            phase = now;
        }
    };
    let plugin = plugins::install(
        &Environment::from_process(),
        kind,
        &InstallOptions::default(),
        &mut say_each_phase_once,
    )?;
    Ok(plugin.library.display().to_string())
}
