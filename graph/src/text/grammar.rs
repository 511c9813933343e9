//! Modules, functions and operations as the parser meets them.

use std::collections::HashMap;

use super::ParseError;
use super::field::Field;
use super::lexer::{Kind, Token};
use super::ops;
use super::parser::Parser;
use super::source_map::{FunctionLines, SourceMap};
use crate::count::Count;
use crate::{
    Function, FunctionResult, LogicalAxes, Module, OpId, Operation, Param, Scopes, TensorType, Value,
    ValueDef, ValueId,
};

/// A function being parsed: its values are numbered as they are defined, their uses resolved at the end,
/// so that a use before its definition is representable and left to the verifier.
#[derive(Default)]
struct Body<'s> {
    function: Function,
    names: HashMap<&'s str, ValueId>,
    /// The operands of each operation.
    operands: Vec<Vec<Token>>,
    lines: FunctionLines,
}

/// A result as the header declares it.
struct DeclaredResult {
    token: Token,
    ty: Option<TensorType>,
    name: String,
    axes: Option<LogicalAxes>,
}

impl<'s> Parser<'s> {
    /// `module @name` and its functions.
    pub(super) fn module(mut self) -> Result<(Module, SourceMap), ParseError> {
        self.expect_word("module")?;
        let mut module = Module::new(self.symbol("a module name such as `@decode`")?);
        let mut map = SourceMap::default();
        while self.peek().kind != Kind::End {
            let (function, lines) = self.function(&mut module.scopes)?;
            module.functions.push(function);
            map.functions.push(lines);
        }
        Ok((module, map))
    }

    /// `func @name(params) -> (results) { operations return values }`.
    fn function(&mut self, scopes: &mut Scopes) -> Result<(Function, FunctionLines), ParseError> {
        let mut body = Body::default();
        body.lines.header = self.line(self.peek());
        self.expect_word("func")?;
        body.function.name = self.symbol("a function name such as `@main`")?;
        self.list('(', ')', |p| p.param(&mut body))?;
        self.expect_kind(Kind::Arrow, "`->`")?;
        let declared = self.list('(', ')', Self::declared_result)?;
        self.expect('{')?;
        while !self.is_word("return") {
            self.operation(&mut body, scopes)?;
        }
        let return_token = self.advance();
        let returned = self.operand_tokens();
        self.expect('}')?;

        if returned.len() != declared.len() {
            let (expected, got) = (declared.len(), returned.len());
            let message =
                format!("the header declares {}, `return` has {got}", Count(expected, "result", "results"));
            return Err(self.error(return_token, message));
        }
        for (operation, tokens) in body.function.ops.iter_mut().zip(&body.operands) {
            operation.operands =
                tokens.iter().map(|&token| self.resolve(&body.names, token)).collect::<Result<_, _>>()?;
        }
        for (DeclaredResult { token, ty, name, axes }, returned) in declared.into_iter().zip(returned) {
            let value = self.resolve(&body.names, returned)?;
            if let (Some(declared), Some(actual)) = (ty, body.function.value_type(value))
                && declared != *actual
            {
                let text = self.text(returned);
                return Err(self.error(token, format!("declared as {declared}, but {text} is {actual}")));
            }
            body.function.results.push(FunctionResult { value, name, axes });
        }
        Ok((body.function, body.lines))
    }

    /// `%name: type "name" axes=[...] donated_to=0`.
    fn param(&mut self, body: &mut Body<'s>) -> Result<(), ParseError> {
        let def = ValueDef::Param(body.function.params.len());
        let (value, _) = self.definition(body, def)?;
        let (name, axes) = self.label()?;
        let mut donated_to = None;
        if self.eat_word("donated_to") {
            self.expect('=')?;
            donated_to = Some(self.number("the index of a result")?);
        }
        body.function.params.push(Param { value, name, axes, donated_to });
        Ok(())
    }

    /// `type "name" axes=[...]`; the type is `_` where the returned value has none.
    fn declared_result(&mut self) -> Result<DeclaredResult, ParseError> {
        let token = self.peek();
        let ty = if self.eat_word("_") { None } else { Some(TensorType::parse(self)?) };
        let (name, axes) = self.label()?;
        Ok(DeclaredResult { token, ty, name, axes })
    }

    fn label(&mut self) -> Result<(String, Option<LogicalAxes>), ParseError> {
        let name = if self.peek().kind == Kind::Quoted { self.quoted()? } else { String::new() };
        let mut axes = None;
        if self.eat_word("axes") {
            self.expect('=')?;
            axes = Some(LogicalAxes::parse(self)?);
        }
        Ok((name, axes))
    }

    /// `%name: type, ... = op %operand, ... {attribute = value, ...} @scope`.
    fn operation(&mut self, body: &mut Body<'s>, scopes: &mut Scopes) -> Result<(), ParseError> {
        body.lines.ops.push(self.line(self.peek()));
        let op = OpId::new(body.function.ops.len());
        let mut results = Vec::new();
        self.first_result = None;
        if self.peek().kind == Kind::Value {
            loop {
                let def = ValueDef::Result { op, index: results.len() };
                let (value, ty) = self.definition(body, def)?;
                results.push(value);
                self.first_result.get_or_insert(ty);
                if !self.eat(',') {
                    break;
                }
            }
            self.expect('=')?;
        }
        let name = self.expect_kind(Kind::Word, "an operation or `return`")?;
        body.operands.push(self.operand_tokens());
        let op = ops::parse_attributes(self, name)?;
        let scope = match self.peek().kind {
            Kind::Symbol => scopes.intern(&self.symbol("a scope")?),
            _ => Scopes::root(),
        };
        body.function.ops.push(Operation { op, operands: Vec::new(), results, scope });
        Ok(())
    }

    /// `%name: type`, a new value.
    fn definition(
        &mut self,
        body: &mut Body<'s>,
        def: ValueDef,
    ) -> Result<(ValueId, TensorType), ParseError> {
        let token = self.expect_kind(Kind::Value, "a value such as `%v0`")?;
        let id = ValueId::new(body.function.values.len());
        let name = self.text(token);
        if self.index_after(token, "%#")?.is_some() {
            return Err(self.error(token, "a number refers to a value and names nothing"));
        }
        if body.names.insert(name, id).is_some() {
            return Err(self.error(token, format!("`{name}` is already defined in this function")));
        }
        self.expect(':')?;
        let ty = TensorType::parse(self)?;
        body.function.values.push(Value { ty: ty.clone(), def });
        Ok((id, ty))
    }

    /// Comma-separated values, possibly none. A value before `:` is no operand but the next operation's result.
    fn operand_tokens(&mut self) -> Vec<Token> {
        let mut tokens = Vec::new();
        let is_definition = |p: &Self| p.peek_second().kind == Kind::Punct(':');
        if self.peek().kind != Kind::Value || is_definition(self) {
            return tokens;
        }
        tokens.push(self.advance());
        while self.is(',') && self.peek_second().kind == Kind::Value {
            self.advance();
            tokens.push(self.advance());
        }
        tokens
    }

    fn resolve(&self, names: &HashMap<&'s str, ValueId>, token: Token) -> Result<ValueId, ParseError> {
        if let Some(index) = self.index_after(token, "%#")? {
            return Ok(ValueId::new(index));
        }
        let name = self.text(token);
        let id = names.get(name).copied();
        id.ok_or_else(|| self.error(token, format!("`{name}` is not defined in this function")))
    }
}
