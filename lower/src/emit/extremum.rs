//! Maximum and minimum of scalars: what reductions are made of.

use lapidary_graph::op::{BinaryKind, Comparison};
use lapidary_graph::{DType, TensorType};

use super::{Emitter, Signature, Site};
use crate::LowerError;
use crate::mlir::Value;

impl Emitter<'_> {
    /// Whether this operation is an extremum that the target wants as a [selection](Self::selected_extremum). Not on
    /// a mesh: partitioners make collectives of reductions that they know by their operation.
    pub(super) fn selects(&self, site: &Site<'_>, kind: BinaryKind) -> bool {
        let of_float_scalars = site.results.iter().all(|ty| ty.rank() == 0 && ty.dtype.is_float());
        let wanted = self.target.scalar_extrema_by_selection && self.placement.is_none();
        wanted && of_float_scalars && ordering(kind).is_some()
    }

    /// Writes the greater (or lesser) of two floats as the choice of the first if it is, or if it is NaN, and of
    /// the second otherwise, which may be NaN as well.
    pub(super) fn selected_extremum(
        &mut self,
        site: &Site<'_>,
        kind: BinaryKind,
    ) -> Result<Vec<Value>, LowerError> {
        let (first, second) = (site.operand(0)?, site.operand(1)?);
        let truth = TensorType::scalar(DType::Pred);
        let compared = |with: &Value| site.beside(vec![first.clone(), with.clone()], truth.clone());
        let direction = ordering(kind).unwrap_or(Comparison::Eq);
        let mut chosen = self.compare(&compared(second), direction, false)?;
        chosen.extend(self.compare(&compared(first), Comparison::Ne, false)?);
        let either = site.beside(chosen, truth.clone());
        let mut operands = self.binary(&either, BinaryKind::Or)?;
        operands.extend([first.clone(), second.clone()]);
        let choice = Site { operands, results: site.results.clone(), ..*site };
        self.statement(&choice, "stablehlo.select", "", Signature::Select)
    }
}

/// How the first of two compares with the second where it is the extremum.
fn ordering(kind: BinaryKind) -> Option<Comparison> {
    match kind {
        BinaryKind::Maximum => Some(Comparison::Gt),
        BinaryKind::Minimum => Some(Comparison::Lt),
        BinaryKind::Add
        | BinaryKind::And
        | BinaryKind::Atan2
        | BinaryKind::Divide
        | BinaryKind::Multiply
        | BinaryKind::Or
        | BinaryKind::Power
        | BinaryKind::Remainder
        | BinaryKind::ShiftLeft
        | BinaryKind::ShiftRightArithmetic
        | BinaryKind::ShiftRightLogical
        | BinaryKind::Subtract
        | BinaryKind::Xor => None,
    }
}
