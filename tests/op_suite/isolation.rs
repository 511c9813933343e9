//! Cases in processes of their own, for what ends the process.

use std::process::Command;

use lapidary::lower::target;

use crate::case::Case;
use crate::{all_cases, plugin, run};

/// Names the case that [`one_case`] runs.
const CASE_VARIABLE: &str = "OP_SUITE_CASE";

/// Whether compiling or running the case ends its process by a signal.
pub(crate) fn aborts(case: &Case) -> bool {
    let test = std::env::current_exe().expect("this test's path");
    let output = Command::new(test)
        .args(["--ignored", "--exact", "isolation::one_case"])
        .env(CASE_VARIABLE, case.name())
        .output()
        .expect("a process for the case");
    // A panic gives an exit code; an abort gives none.
    output.status.code().is_none()
}

#[test]
#[ignore = "runs the case that OP_SUITE_CASE names"]
fn one_case() {
    let name = std::env::var(CASE_VARIABLE).expect("OP_SUITE_CASE, such as `tanh f32`");
    let all = all_cases();
    let case = all.cases.iter().find(|case| case.name() == name).expect("a case of that name");
    let Some(client) = plugin::cpu_client() else { return };
    let problems = run::outcomes(&client, &target::CPU, &[case]);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
