//! What the tests of the text form share.

use std::path::{Path, PathBuf};

use lapidary_graph::Module;

/// Everything a module says, independent of the numbering of its scopes.
///
/// As text, because NaN attributes are equal to themselves there.
pub(crate) fn structure(module: &Module) -> String {
    let mut text = format!("{:?}\n", module.name);
    for f in &module.functions {
        text += &format!("{:?} {:?} {:?} {:?}\n", f.name, f.params, f.values, f.results);
        for o in &f.ops {
            let path = module.scopes.path(o.scope);
            text += &format!("  {:?} {:?} {:?} {path:?}\n", o.op, o.operands, o.results);
        }
    }
    text
}

/// The files of a kind of filetest, sorted.
pub(crate) fn filetests(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests").join(kind);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no files", folder.display());
    files
}

/// Reads a file that must be there.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
