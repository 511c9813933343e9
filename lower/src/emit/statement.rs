//! One operation's line: results, name, operands, attributes, types, location.

use std::fmt;

use lapidary_graph::op::BinaryKind;
use lapidary_graph::{DType, FuncId, TensorType};

use super::Emitter;
use crate::LowerError;
use crate::mlir::{FunctionSignature, Location, Name, Names, Type, Types, Value};

/// An operation to be written: its operands, the types of its results, and where it comes from.
pub(crate) struct Site<'s> {
    pub(crate) operands: Vec<Value>,
    pub(crate) results: Vec<TensorType>,
    pub(crate) location: Location<'s>,
    /// Name of the function that the operation is in.
    pub(crate) function: &'s str,
}

/// How an operation's types follow its attributes.
pub(crate) enum Signature {
    /// `: results`, where the operands' types follow from them.
    Results,
    /// `: (operands) -> results`.
    Function,
    /// `: operand -> result`.
    Arrow,
    /// `: pred, result`.
    Select,
}

impl Site<'_> {
    /// A helper operation at the same place.
    pub(crate) fn beside(&self, operands: Vec<Value>, result: TensorType) -> Self {
        Self { operands, results: vec![result], location: self.location, function: self.function }
    }

    pub(crate) fn operand_types(&self) -> Vec<TensorType> {
        self.operands.iter().map(|operand| operand.ty.clone()).collect()
    }

    /// The operand at `index`.
    pub(crate) fn operand(&self, index: usize) -> Result<&Value, LowerError> {
        self.operands.get(index).ok_or_else(|| {
            let Location { op, .. } = self.location;
            LowerError::Unverified(format!("`{op}` in `{}` has no operand {index}", self.function))
        })
    }

    /// The type of the only result.
    pub(crate) fn result(&self) -> Result<&TensorType, LowerError> {
        match self.results.as_slice() {
            [ty] => Ok(ty),
            _ => {
                let Location { op, .. } = self.location;
                Err(LowerError::Unverified(format!("`{op}` in `{}` has not one result", self.function)))
            }
        }
    }
}

/// The only result of a helper operation.
pub(super) fn only(results: Vec<Value>) -> Result<Value, LowerError> {
    let count = results.len();
    results
        .into_iter()
        .next()
        .ok_or_else(|| LowerError::Unverified(format!("an operation of one result has {count}")))
}

impl Emitter<'_> {
    /// Writes `results = mnemonic operands attributes : types loc(...)`, the custom form of an operation.
    pub(crate) fn statement(
        &mut self,
        site: &Site<'_>,
        mnemonic: impl fmt::Display,
        attributes: impl fmt::Display,
        signature: Signature,
    ) -> Result<Vec<Value>, LowerError> {
        let results = self.start(&site.results)?;
        let space = if site.operands.is_empty() { "" } else { " " };
        self.writer.text(format_args!("{mnemonic}{space}{}{attributes} : ", Names(&site.operands)))?;
        let operand_types = site.operand_types();
        match (signature, operand_types.as_slice()) {
            (Signature::Arrow, [operand]) => {
                self.writer.text(format_args!("{} -> {}", Type(operand), Types(&site.results)))?;
            }
            (Signature::Select, [pred, ..]) => {
                self.writer.text(format_args!("{}, {}", Type(pred), Types(&site.results)))?;
            }
            (Signature::Results, _) => self.writer.text(format_args!("{}", Types(&site.results)))?,
            (Signature::Function | Signature::Arrow | Signature::Select, operands) => {
                let types = FunctionSignature { operands, results: &site.results };
                self.writer.text(format_args!("{types}"))?;
            }
        }
        self.finish(site)?;
        Ok(results)
    }

    /// Writes `results = "mnemonic"(operands) <{properties}> : types loc(...)`, the generic form, with
    /// `regions` between properties and types.
    pub(crate) fn generic(
        &mut self,
        site: &Site<'_>,
        mnemonic: &str,
        properties: impl fmt::Display,
        regions: &[Region<'_>],
    ) -> Result<Vec<Value>, LowerError> {
        let results = self.start(&site.results)?;
        self.writer.text(format_args!("\"{mnemonic}\"({})", Names(&site.operands)))?;
        let properties = properties.to_string();
        if !properties.is_empty() {
            self.writer.text(format_args!(" <{{{properties}}}>"))?;
        }
        for (i, region) in regions.iter().enumerate() {
            self.writer.text(format_args!("{}{{\n", if i == 0 { " (" } else { ", " }))?;
            match region {
                Region::Block(body) => self.block(*body)?,
                Region::Capturing(body, arguments) => self.region_body(*body, arguments)?,
                Region::Combining(kind, dtype) => self.combining(site, *kind, *dtype)?,
            }
            self.writer.start_line()?;
            self.writer.text(format_args!("}}"))?;
        }
        let close = if regions.is_empty() { "" } else { ")" };
        let types = FunctionSignature { operands: &site.operand_types(), results: &site.results };
        self.writer.text(format_args!("{close} : {types}"))?;
        self.finish(site)?;
        Ok(results)
    }

    /// Starts a line with the names of new results.
    fn start(&mut self, types: &[TensorType]) -> Result<Vec<Value>, LowerError> {
        let results = self.writer.fresh_results(types);
        self.writer.start_line()?;
        match results.first().map(|first| first.name) {
            None => {}
            Some(Name::Part(number, _)) => {
                self.writer.text(format_args!("%{number}:{} = ", results.len()))?;
            }
            Some(name) => self.writer.text(format_args!("{name} = "))?,
        }
        Ok(results)
    }

    /// Ends a line with the location.
    fn finish(&mut self, site: &Site<'_>) -> Result<(), LowerError> {
        self.writer.text(format_args!(" {}\n", site.location))
    }
}

/// A region of an operation: the body of a function of the module.
pub(crate) enum Region<'s> {
    /// The function's parameters are the block's arguments.
    Block(FuncId),
    /// The function's parameters are these values of the surrounding text.
    Capturing(FuncId, &'s [Value]),
    /// Two scalars, and what this makes of them.
    Combining(BinaryKind, DType),
}
