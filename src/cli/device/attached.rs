//! Which devices are attached to this machine, as far as its device files tell.

use std::path::Path;

use lapidary::runtime::plugins::PluginKind;

/// Whether this machine has the hardware that a plugin drives.
pub fn is_attached(kind: PluginKind) -> bool {
    is_attached_in(Path::new("/dev"), kind)
}

/// The same for a machine whose device files are in `dev`.
///
/// TPUs are `accel0`, `accel1`, ... or, from v5e on, `vfio/0`, `vfio/1`, ...: the groups that libtpu drives them by.
/// Neither `vfio/vfio` is one, which is there wherever the kernel knows VFIO, nor `accel/accel0`, which is how other
/// makers' accelerators are called.
fn is_attached_in(dev: &Path, kind: PluginKind) -> bool {
    match kind {
        PluginKind::Cpu => true,
        PluginKind::Tpu => has_numbered(dev, "accel") || has_numbered(&dev.join("vfio"), ""),
        PluginKind::Cuda => ["nvidia0", "nvidiactl"].iter().any(|name| dev.join(name).exists()),
    }
}

/// Whether a directory has an entry whose name is `prefix` and a number.
fn has_numbered(directory: &Path, prefix: &str) -> bool {
    let Ok(entries) = directory.read_dir() else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    entries.flatten().any(|entry| {
        entry.file_name().to_str().and_then(|name| name.strip_prefix(prefix)).is_some_and(is_number)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Whether there is a TPU where `/dev` has these files.
    fn has_tpu(files: &[&str]) -> bool {
        let dev = tempfile::tempdir().unwrap();
        for file in files {
            let path = dev.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        is_attached_in(dev.path(), PluginKind::Tpu)
    }

    #[test]
    fn tpus_are_told_by_their_device_files() {
        for files in [&["accel0"][..], &["accel3"], &["vfio/0"], &["vfio/vfio", "vfio/12"]] {
            assert!(has_tpu(files), "{files:?}");
        }
        for files in [&[][..], &["vfio/vfio"], &["accel/accel0"], &["accel"], &["accelerometer", "nvidia0"]] {
            assert!(!has_tpu(files), "{files:?}");
        }
    }

    #[test]
    fn gpus_are_told_by_their_device_files() {
        let dev = tempfile::tempdir().unwrap();
        assert!(!is_attached_in(dev.path(), PluginKind::Cuda));
        fs::write(dev.path().join("nvidiactl"), "").unwrap();
        assert!(is_attached_in(dev.path(), PluginKind::Cuda));
        assert!(is_attached_in(Path::new("/nowhere"), PluginKind::Cpu));
    }
}
