//! Weights in few bits that are decoded when their product is due, and no sooner.

use lapidary_graph::{DType, Literal, TensorType};

use super::statement::only;
use super::{Emitter, Signature, Site};
use crate::LowerError;
use crate::mlir::Value;

/// The composite of a product by a weight in few bits; its operands are the features and the codes, and others.
const COMPOSITE: &str = "lapidary.quantized_linear";

impl Emitter<'_> {
    /// The operands for the decomposition of the composite `name`: its own, but that the codes of a weight are made to
    /// depend on the features where the target asks for that.
    pub(super) fn operands_in_turn(&mut self, site: &Site<'_>, name: &str) -> Result<Vec<Value>, LowerError> {
        let mut operands = site.operands.clone();
        let in_turn = self.target.decodes_in_turn && self.placement.is_none() && name == COMPOSITE;
        if let (true, [x, codes, ..]) = (in_turn, operands.as_mut_slice()) {
            *codes = self.after(site, x, codes)?;
        }
        Ok(operands)
    }

    /// Writes `codes` with each bit as it is, but not before `x` is there: a zero that is made of an element of `x` is
    /// added. An `optimization_barrier` would not do, since it is gone when the operations are scheduled.
    fn after(&mut self, site: &Site<'_>, x: &Value, codes: &Value) -> Result<Value, LowerError> {
        let bytes = matches!(codes.ty.dtype, DType::S8 | DType::U8);
        let word = match x.ty.dtype {
            DType::BF16 | DType::F16 => DType::U16,
            DType::F32 => DType::U32,
            _ => return Ok(codes.clone()),
        };
        if !bytes || x.ty.num_elements() == 0 {
            return Ok(codes.clone());
        }
        let rank = x.ty.rank();
        let (start, one) = (vec![0; rank], vec![1; rank]);
        let element = site.beside(vec![x.clone()], x.ty.with_dims(one.clone()));
        let element = only(self.slice(&element, &start, &one, &one)?)?;
        let ty = TensorType::scalar(x.ty.dtype);
        let element = self.converted(site, "stablehlo.reshape", element, ty)?;
        let ty = TensorType::scalar(word);
        let bits = self.converted(site, "stablehlo.bitcast_convert", element, ty.clone())?;
        let width = Literal::from_bytes(ty.clone(), &half_width(word)).map_err(unverified)?;
        let width = self.scalar(site, &width)?;
        // Twice by half of the width: a shift by all of it would be seen through.
        let mut zero = bits;
        for _ in 0..2 {
            let shift = site.beside(vec![zero, width.clone()], ty.clone());
            zero = only(self.statement(&shift, "stablehlo.shift_right_logical", "", Signature::Results)?)?;
        }
        let ty = TensorType::scalar(codes.ty.dtype);
        let zero = self.converted(site, "stablehlo.convert", zero, ty)?;
        let everywhere = site.beside(vec![zero], codes.ty.clone());
        let zero = only(self.with_dims(&everywhere, "stablehlo.broadcast_in_dim", &[])?)?;
        let or = site.beside(vec![codes.clone(), zero], codes.ty.clone());
        only(self.statement(&or, "stablehlo.or", "", Signature::Results)?)
    }

    /// Writes an operation of one operand without attributes.
    pub(super) fn converted(
        &mut self,
        site: &Site<'_>,
        mnemonic: &str,
        operand: Value,
        ty: TensorType,
    ) -> Result<Value, LowerError> {
        only(self.statement(&site.beside(vec![operand], ty), mnemonic, "", Signature::Function)?)
    }
}

/// Half of a word's bits, as an element of its type in little-endian bytes.
fn half_width(word: DType) -> Vec<u8> {
    let mut bytes = vec![0; word.byte_width()];
    if let Some(first) = bytes.first_mut() {
        *first = (4 * word.byte_width()) as u8;
    }
    bytes
}

fn unverified(error: impl std::fmt::Display) -> LowerError {
    LowerError::Unverified(error.to_string())
}
