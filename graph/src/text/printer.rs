//! Printing modules and functions.

use std::collections::HashSet;
use std::fmt::{self, Write};

use super::field::Field;
use super::names::{Quoted, Symbol};
use super::ops;
use crate::{
    FuncId, Function, FunctionResult, LogicalAxes, Module, Operation, Param, Scopes, TensorType, ValueId,
};

/// Where text goes, and what it needs to know to name things.
pub(super) struct Printer<'a> {
    out: &'a mut dyn Write,
    /// The name by which each function of the module can be referred to.
    names: &'a [Option<&'a str>],
    scopes: Option<&'a Scopes>,
    /// First result type of the operation being printed: a literal of that type does not repeat it.
    result_type: Option<&'a TensorType>,
}

impl fmt::Display for Module {
    /// The text form, which [`crate::text::parse`] reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut seen = HashSet::new();
        let names: Vec<Option<&str>> =
            self.functions.iter().map(|f| seen.insert(&f.name).then_some(f.name.as_str())).collect();
        writeln!(f, "module {}", Symbol(&self.name))?;
        for function in &self.functions {
            writeln!(f)?;
            let mut printer =
                Printer { out: f, names: &names, scopes: Some(&self.scopes), result_type: None };
            printer.function(function)?;
        }
        Ok(())
    }
}

impl fmt::Display for Function {
    /// The function as its module prints it, except that model paths are left out and other functions
    /// are referred to by number (`@#3`): both belong to the module.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printer { out: f, names: &[], scopes: None, result_type: None }.function(self)
    }
}

impl<'a> Printer<'a> {
    pub(super) fn text(&mut self, text: &str) -> fmt::Result {
        self.out.write_str(text)
    }

    pub(super) fn write(&mut self, text: fmt::Arguments<'_>) -> fmt::Result {
        self.out.write_fmt(text)
    }

    /// Whether `ty` goes without saying in the operation being printed.
    pub(super) fn is_result_type(&self, ty: &TensorType) -> bool {
        self.result_type == Some(ty)
    }

    /// A reference to a function: by name if the name leads to it.
    pub(super) fn function_ref(&mut self, id: FuncId) -> fmt::Result {
        match self.names.get(id.index()).copied().flatten() {
            Some(name) => self.write(format_args!("{}", Symbol(name))),
            None => self.write(format_args!("@#{}", id.index())),
        }
    }

    /// Items in brackets or parentheses.
    pub(super) fn list<T>(
        &mut self,
        [open, close]: [&str; 2],
        items: impl IntoIterator<Item = T>,
        mut print: impl FnMut(&mut Self, T) -> fmt::Result,
    ) -> fmt::Result {
        self.text(open)?;
        for (i, item) in items.into_iter().enumerate() {
            self.text(if i == 0 { "" } else { ", " })?;
            print(self, item)?;
        }
        self.text(close)
    }

    fn function(&mut self, function: &'a Function) -> fmt::Result {
        self.write(format_args!("func {}", Symbol(&function.name)))?;
        self.list(["(", ")"], &function.params, |out, param| out.param(function, param))?;
        self.text(" -> ")?;
        self.list(["(", ")"], &function.results, |out, result| out.result(function, result))?;
        self.text(" {\n")?;
        for operation in &function.ops {
            self.operation(function, operation)?;
        }
        self.text("  return")?;
        self.values(function, function.results.iter().map(|result| result.value))?;
        self.text("\n}\n")
    }

    fn param(&mut self, function: &Function, param: &Param) -> fmt::Result {
        self.value(function, param.value)?;
        self.text(": ")?;
        self.type_of(function, param.value)?;
        self.label(&param.name, param.axes.as_ref())?;
        match param.donated_to {
            Some(result) => self.write(format_args!(" donated_to={result}")),
            None => Ok(()),
        }
    }

    fn result(&mut self, function: &Function, result: &FunctionResult) -> fmt::Result {
        self.type_of(function, result.value)?;
        self.label(&result.name, result.axes.as_ref())
    }

    fn label(&mut self, name: &str, axes: Option<&LogicalAxes>) -> fmt::Result {
        if !name.is_empty() {
            self.write(format_args!(" {}", Quoted(name)))?;
        }
        let Some(axes) = axes else { return Ok(()) };
        self.text(" axes=")?;
        axes.print(self)
    }

    fn operation(&mut self, function: &'a Function, operation: &Operation) -> fmt::Result {
        self.result_type = operation.results.first().and_then(|&v| function.value_type(v));
        self.text("  ")?;
        if !operation.results.is_empty() {
            self.list(["", " = "], &operation.results, |out, &value| {
                out.value(function, value)?;
                out.text(": ")?;
                out.type_of(function, value)
            })?;
        }
        self.text(operation.op.name())?;
        self.values(function, operation.operands.iter().copied())?;
        ops::print_attributes(&operation.op, self)?;
        let path = self.scopes.map_or("", |scopes| scopes.path(operation.scope));
        if !path.is_empty() {
            self.write(format_args!("  {}", Symbol(path)))?;
        }
        self.text("\n")
    }

    /// Operands, after a space if there are any.
    fn values(&mut self, function: &Function, values: impl IntoIterator<Item = ValueId>) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        let open = if values.peek().is_some() { " " } else { "" };
        self.list([open, ""], values, |out, value| out.value(function, value))
    }

    fn value(&mut self, function: &Function, value: ValueId) -> fmt::Result {
        match function.value(value) {
            Some(_) => self.write(format_args!("{value}")),
            None => self.write(format_args!("%#{}", value.index())),
        }
    }

    fn type_of(&mut self, function: &Function, value: ValueId) -> fmt::Result {
        match function.value_type(value) {
            Some(ty) => self.write(format_args!("{ty}")),
            None => self.text("_"),
        }
    }
}
