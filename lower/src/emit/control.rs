//! Ops with regions: reductions, sorts, loops and branches. Bodies are functions of the module, written in
//! place.

use lapidary_graph::FuncId;

use super::statement::Region;
use super::{Emitter, Site};
use crate::LowerError;
use crate::mlir::{I64Array, Value};

impl Emitter<'_> {
    pub(super) fn reduce(
        &mut self,
        site: &Site<'_>,
        dims: &[usize],
        body: FuncId,
    ) -> Result<Vec<Value>, LowerError> {
        let properties = format_args!("dimensions = {}", I64Array(dims));
        self.generic(site, "stablehlo.reduce", properties, &[Region::Block(body)])
    }

    pub(super) fn sort(
        &mut self,
        site: &Site<'_>,
        dim: usize,
        stable: bool,
        comparator: FuncId,
    ) -> Result<Vec<Value>, LowerError> {
        let properties = format_args!("dimension = {dim} : i64, is_stable = {stable}");
        self.generic(site, "stablehlo.sort", properties, &[Region::Block(comparator)])
    }

    pub(super) fn while_loop(
        &mut self,
        site: &Site<'_>,
        cond: FuncId,
        body: FuncId,
    ) -> Result<Vec<Value>, LowerError> {
        self.generic(site, "stablehlo.while", "", &[Region::Block(cond), Region::Block(body)])
    }

    /// `if` and `case`: the first operand chooses, the others are the branches' arguments, which regions
    /// capture instead of taking them.
    pub(super) fn branches(
        &mut self,
        site: &Site<'_>,
        mnemonic: &str,
        branches: &[FuncId],
    ) -> Result<Vec<Value>, LowerError> {
        let chooser = site.operand(0)?.clone();
        let arguments = site.operands.get(1..).unwrap_or_default();
        let regions: Vec<Region<'_>> =
            branches.iter().map(|&branch| Region::Capturing(branch, arguments)).collect();
        let choice = Site { operands: vec![chooser], results: site.results.clone(), ..*site };
        self.generic(&choice, mnemonic, "", &regions)
    }
}
