//! The golden list of what is tested.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use lapidary::graph::{Module, text};

use crate::case::Suite;
use crate::known::{Failure, failure};

/// Ops without cases, and why.
const NOT_EVALUATED: &[(&str, &str)] =
    &[("custom_call", "means what its handler does, and no handler is registered here")];

/// Compares the cases with `coverage.txt`, and makes sure that no op is missing.
pub(crate) fn check(suite: &Suite) {
    let mut list = String::from("# subject: element types (and how the CPU plugin fails them)\n");
    let mut by_subject: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for case in &suite.cases {
        let dtype = case.dtype.to_string();
        let entry = match failure(case) {
            None => dtype,
            Some(Failure::Refuses(_)) => format!("{dtype}:refused"),
            Some(Failure::Aborts) => format!("{dtype}:aborts"),
            Some(Failure::Differs(_)) => format!("{dtype}:differs"),
        };
        by_subject.entry(&case.subject).or_default().push(entry);
    }
    for (subject, dtypes) in by_subject {
        writeln!(list, "{subject}: {}", dtypes.join(" ")).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/op_suite/coverage.txt");
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &list).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == list, "{} is not what the cases give (BLESS=1 rewrites it):\n{list}", path.display());

    let mut module = Module::new("all");
    for (i, case) in suite.cases.iter().enumerate() {
        case.add_to(&mut module, &format!("case_{i}")).unwrap();
    }
    let used: Vec<&str> =
        module.functions.iter().flat_map(|function| function.ops.iter().map(|o| o.op.name())).collect();
    for name in text::op_names() {
        let excused = NOT_EVALUATED.iter().any(|&(op, _)| op == name);
        assert!(used.contains(&name) != excused, "`{name}`: add cases for it, or a reason for having none");
    }
}
