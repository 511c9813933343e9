//! What docs/ir.md shows is true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use lapidary_graph::{text, verify_program};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ir.md");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_example_is_a_valid_module_in_canonical_form() {
    let page = page();
    let (_, rest) = page.split_once("```lapidary\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let module = text::parse(example).unwrap_or_else(|e| panic!("{e}"));
    verify_program(&module).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(module.to_string(), example);
}

#[test]
fn the_error_is_what_the_parser_says() {
    let source =
        "module @m\nfunc @main(%x: f32[2]) -> (f32[2]) {\n  %y: f32[2] = add %x, %z\n  return %y\n}\n";
    let error = text::parse(source).unwrap_err().to_string();
    assert!(page().contains(&format!("```text\n{error}\n```")), "docs/ir.md lacks:\n{error}");
}

#[test]
fn the_table_lists_every_op() {
    let page = page();
    let (_, table) = page.split_once("## Ops").unwrap();
    let missing: Vec<&str> = text::op_names().filter(|name| !table.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/ir.md lacks {missing:?}");
}
