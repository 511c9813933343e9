//! Tests that are files: `tests/filetests/<kind>/*.lap`.
//!
//! - `text/`: valid modules in canonical form: they print as they are written, a comment at the top aside.
//! - `parse/`: texts that are no modules, and below them the error as a comment.
//! - `verify/`: modules that are wrong, and below each line what the verifier says of it.
//!
//! `BLESS=1 cargo test -p lapidary-graph --test filetests` rewrites what the files expect; review the diff.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;

use lapidary_graph::Module;
use lapidary_graph::text::{self, SourceMap};
use lapidary_graph::verify::{Violation, verify_program};
use support::{filetests, read, structure};

/// How an expectation in a comment starts.
const EXPECTED: &str = "// error: ";

/// Compares every file of `kind` with what it should be, or rewrites it.
fn check(kind: &str, expected: impl Fn(&str) -> Result<String, String>) {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut failures = Vec::new();
    for path in filetests(kind) {
        let source = read(&path);
        match expected(&source) {
            Err(problem) => failures.push(format!("{}: {problem}", path.display())),
            Ok(expected) if expected == source => {}
            Ok(expected) if bless => std::fs::write(&path, expected).unwrap(),
            Ok(expected) => failures.push(difference(&path, &source, &expected)),
        }
    }
    assert!(failures.is_empty(), "{}\n\nBLESS=1 rewrites the files", failures.join("\n\n"));
}

fn difference(path: &Path, source: &str, expected: &str) -> String {
    let mut lines = (1..).zip(source.lines().zip(expected.lines()));
    let (number, (is, should)) = lines.find(|(_, (is, should))| is != should).unwrap_or_else(|| {
        let lines = source.lines().count().min(expected.lines().count());
        let at = |text: &'static str| text;
        (lines + 1, (at("(one text is longer)"), at("(one text is longer)")))
    });
    format!("{}:{number}\n  is:     {is}\n  should: {should}", path.display())
}

#[test]
fn text() {
    check("text", |source| {
        let comment: String =
            source.split_inclusive('\n').take_while(|line| line.starts_with("//")).collect();
        let module = text::parse(source).map_err(|e| e.to_string())?;
        let printed = survives_printing(&module)?;
        verify_program(&module).map_err(|violations| violations.to_string())?;
        Ok(comment + &printed)
    });
}

/// The text of a module, having checked that it parses to the same module.
fn survives_printing(module: &Module) -> Result<String, String> {
    let printed = module.to_string();
    let again = text::parse(&printed).map_err(|e| format!("what it prints does not parse: {e}"))?;
    if structure(&again) == structure(module) {
        Ok(printed)
    } else {
        Err(format!("what it prints parses to another module:\n{printed}"))
    }
}

#[test]
fn parse() {
    check("parse", |source| {
        let text = source.find(EXPECTED).and_then(|at| source.get(..at)).unwrap_or(source);
        let error = text::parse(text).err().ok_or("this parses")?;
        let comment: String = error.to_string().lines().map(|line| format!("// {line}\n")).collect();
        Ok(format!("{text}{}", comment.replacen("// ", EXPECTED, 1)))
    });
}

#[test]
fn verify() {
    check("verify", |source| {
        let source = without_expectations(source);
        let (module, lines) = text::parse_with_lines(&source).map_err(|e| e.to_string())?;
        survives_printing(&module)?;
        let violations = verify_program(&module).err().ok_or("this module is valid")?;
        let mut annotated = String::new();
        for (number, line) in (1..).zip(source.split_inclusive('\n')) {
            annotated += line;
            let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
            for violation in violations.as_slice().iter().filter(|v| line_of(v, &lines, &source) == number) {
                let path =
                    if violation.path.is_empty() { String::new() } else { format!("{}: ", violation.path) };
                let (problem, rule) = (&violation.problem, violation.problem.rule());
                annotated += &format!("{indent}{EXPECTED}{path}{problem} (rule {rule})\n");
            }
        }
        let placed = annotated.matches(EXPECTED).count();
        if placed != violations.as_slice().len() {
            return Err(format!("a violation belongs to no line:\n{violations}"));
        }
        Ok(annotated)
    });
}

fn without_expectations(source: &str) -> String {
    source.split_inclusive('\n').filter(|line| !line.trim_start().starts_with(EXPECTED)).collect()
}

/// The line of the operation, the function's header or the module's.
fn line_of(violation: &Violation, lines: &SourceMap, source: &str) -> usize {
    let line = match (violation.function, violation.op) {
        (Some(function), Some(op)) => lines.op_line(function, op),
        (Some(function), None) => lines.function_line(function),
        (None, _) => source.lines().position(|line| line.starts_with("module")).map(|index| index + 1),
    };
    line.unwrap_or(0)
}

/// The verify files together break every rule that can be broken in text.
#[test]
fn every_rule_has_a_verify_test() {
    let files: String = filetests("verify").iter().map(|path| read(path)).collect();
    // In text, values are numbered as they are defined (rule 5) and scopes are the module's (rule 14).
    let untested: Vec<u8> = (1..=14).filter(|rule| !matches!(rule, 5 | 14)).collect();
    let untested: Vec<u8> =
        untested.into_iter().filter(|rule| !files.contains(&format!("(rule {rule})"))).collect();
    assert!(untested.is_empty(), "no file under verify/ breaks rules {untested:?}");
}

/// The text files together have every op.
#[test]
fn every_op_has_a_text_test() {
    let files: String = filetests("text").iter().map(|path| read(path)).collect();
    let words: Vec<&str> = files.split_whitespace().collect();
    let missing: Vec<&str> = text::op_names().filter(|name| !words.contains(name)).collect();
    assert!(missing.is_empty(), "no file under text/ has {missing:?}");
}
