//! What became of composites, for people.

use lapidary::inspect::LoweredProgram;

use crate::cli::table::Table;

/// The verdict, and a row for all composites of which the same became.
pub fn report(program: &LoweredProgram) -> String {
    let (calls, total) = (program.calls(), program.total());
    let mesh = program.mesh.as_ref().map_or_else(String::new, |mesh| format!(" over {mesh}"));
    let mut table = Table::new(&["Composites", "count", "kernel", "such as", "decomposed because"]);
    for each in &program.composites {
        table.row(vec![
            format!("  {}", each.composite),
            each.count.to_string(),
            each.kernel.unwrap_or("-").to_string(),
            each.paths.first().cloned().unwrap_or_default(),
            each.because.clone().unwrap_or_default(),
        ]);
    }
    let name = &program.name;
    format!(
        "{name} on {}{mesh}: {calls} of {total} composites are calls of kernels.\n\n{table}",
        program.platform
    )
}
