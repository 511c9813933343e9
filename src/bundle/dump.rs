//! The files that XLA's compilers dump.
//!
//! They write one file after the other, from the thread that compiles: the program as text and as a message before
//! they optimize it (`MODULE.before_optimizations.txt` and `.hlo.pb`), then what passes make of it, if asked to
//! (`MODULE.0000.PIPELINE.after_PASS.before_PASS.txt`), and at last the optimized program
//! (`MODULE.after_optimizations.txt`).

use std::fs;
use std::path::{Path, PathBuf};

use lapidary_runtime::{CompileOptions, CompilerFlag};

const BEFORE_TEXT: &str = ".before_optimizations.txt";
const BEFORE_PROTO: &str = ".before_optimizations.hlo.pb";
const OPTIMIZED_TEXT: &str = "after_optimizations.txt";
/// What only the names of files contain that are dumped once optimizing has begun.
const AFTER: &str = ".after_";

/// Adds what makes a compiler that dumps texts dump a program before it optimizes it, and something as soon as it does.
pub(super) fn import_flags(options: CompileOptions) -> CompileOptions {
    options
        .flag("xla_dump_hlo_as_text", CompilerFlag::Bool(true))
        .flag("xla_dump_hlo_as_proto", CompilerFlag::Bool(true))
        // Every pipeline of passes begins with something of this name, which changes nothing.
        .flag("xla_dump_hlo_pass_re", CompilerFlag::String("pipeline-start".to_string()))
}

/// The optimized program: plugins hand it out as a message only.
///
/// A compiler may dump modules that it makes on the way, too; the whole program is the largest.
pub(super) fn dumped_text(directory: &Path) -> Option<PathBuf> {
    largest(files(directory).into_iter().filter(|path| name(path).ends_with(OPTIMIZED_TEXT)))
}

/// A program as a compiler takes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DumpedHlo {
    /// As text.
    pub(super) text: PathBuf,
    /// As an `HloProto`, which holds an `HloModuleProto`.
    pub(super) proto: PathBuf,
}

impl DumpedHlo {
    /// The program that a compiler, which has ended, has dumped.
    pub(super) fn of_ended(directory: &Path) -> Option<Self> {
        Self::find(&files(directory), |_| true)
    }

    /// The program that a compiler, which may go on or not have ended well, has dumped: as there is a later file of
    /// the same module, the earlier ones are whole.
    pub(super) fn of_running(directory: &Path) -> Option<Self> {
        let files = files(directory);
        let later: Vec<String> =
            files.iter().map(|path| name(path)).filter(|name| name.contains(AFTER)).collect();
        if later.is_empty() {
            return None;
        }
        Self::find(&files, |module| {
            let rest = later.iter().filter_map(|name| name.strip_prefix(module));
            rest.into_iter().any(|rest| rest.starts_with('.'))
        })
    }

    fn find(files: &[PathBuf], is_whole: impl Fn(&str) -> bool) -> Option<Self> {
        let texts = files.iter().filter(|path| name(path).strip_suffix(BEFORE_TEXT).is_some_and(&is_whole));
        let text = largest(texts.cloned())?;
        let proto = name(&text).replace(BEFORE_TEXT, BEFORE_PROTO);
        let proto = files.iter().find(|path| name(path) == proto)?.clone();
        Some(Self { text, proto })
    }
}

/// The files of a directory, without folders; none if it cannot be read, or is not there yet.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    files.map(|entry| entry.path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn largest(files: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    files.max_by_key(|path| path.metadata().map_or(0, |metadata| metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(files: &[(&str, usize)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(directory.path().join(name), vec![b' '; *bytes]).unwrap();
        }
        directory
    }

    /// The names are those of libtpu 0.0.52.
    #[test]
    fn a_dump_is_whole_once_there_is_a_later_one() {
        let directory = dump(&[("module_0000.m.cl_1.before_optimizations.txt", 9)]);
        let write = |name: &str| fs::write(directory.path().join(name), "").unwrap();
        fs::create_dir(directory.path().join("module_0000.m.cl_1.after_")).unwrap();
        for name in [
            "module_0000.m.cl_1.before_optimizations.hlo.pb",
            "module_0000.m.cl_1.debug_options",
            "module_0000.m.cl_1.flagfile",
            "module_0000.m.cl_12.0000.x.after_pipeline-start.before_y.txt",
        ] {
            write(name);
            assert_eq!(DumpedHlo::of_running(directory.path()), None, "{name}");
        }
        write("module_0000.m.cl_1.0012.x.after_pipeline-start.before_y.txt");
        let hlo = DumpedHlo::of_running(directory.path()).unwrap();
        assert_eq!(name(&hlo.text), "module_0000.m.cl_1.before_optimizations.txt");
        assert_eq!(name(&hlo.proto), "module_0000.m.cl_1.before_optimizations.hlo.pb");
    }

    #[test]
    fn the_whole_program_is_the_largest() {
        let directory = dump(&[
            ("module_0000.a.before_optimizations.txt", 3),
            ("module_0000.a.before_optimizations.hlo.pb", 8),
            ("module_0000.a.after_optimizations.txt", 5),
            ("module_0001.b.before_optimizations.txt", 4),
            ("module_0001.b.before_optimizations.hlo.pb", 2),
            ("module_0001.b.after_optimizations.txt", 6),
        ]);
        let hlo = DumpedHlo::of_ended(directory.path()).unwrap();
        assert_eq!(name(&hlo.proto), "module_0001.b.before_optimizations.hlo.pb");
        assert_eq!(DumpedHlo::of_running(directory.path()), Some(hlo));
        let optimized = dumped_text(directory.path()).unwrap();
        assert_eq!(name(&optimized), "module_0001.b.after_optimizations.txt");
        assert_eq!(DumpedHlo::of_ended(&directory.path().join("none")), None);
    }
}
