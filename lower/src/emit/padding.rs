//! Values at the entry's boundary whose shards are padded.
//!
//! Plugins give every device of an unevenly split parameter or result the whole of it. Inside a program they
//! split unevenly and keep what is beyond a value's end out of every sum. So the entry's own parameters and
//! results have the padded shape, which splits evenly; slicing the padding off and adding it move nothing
//! between devices.

use lapidary_graph::TensorType;

use super::statement::only;
use super::{Emitter, Signature, Site};
use crate::LowerError;
use crate::mlir::{Location, Value};
use crate::sharding::Sharding;

impl Emitter<'_> {
    /// Writes the value that the entry's parameter `padded` carries.
    pub(crate) fn without_padding(
        &mut self,
        padded: Value,
        ty: &TensorType,
        sharding: &Sharding,
    ) -> Result<Value, LowerError> {
        let site = boundary_site("unpad", vec![padded], ty.clone());
        let start = vec![0; ty.rank()];
        let stride = vec![1; ty.rank()];
        let sliced = only(self.slice(&site, &start, &ty.dims, &stride)?)?;
        self.constrained(sliced, sharding)
    }

    /// Writes `value` as the entry's result carries it.
    pub(crate) fn with_padding(&mut self, value: Value, sharding: &Sharding) -> Result<Value, LowerError> {
        let value = self.constrained(value, sharding)?;
        let padded = value.ty.with_dims(sharding.padded_shape());
        let zero = self.zero(&boundary_site("pad", Vec::new(), padded.clone()), padded.dtype)?;
        let none = vec![0; padded.rank()];
        let high: Vec<i64> =
            padded.dims.iter().zip(&value.ty.dims).map(|(padded, size)| (padded - size) as i64).collect();
        let site = boundary_site("pad", vec![value, zero], padded);
        only(self.pad(&site, &none, &high, &vec![0; high.len()])?)
    }

    /// Plugins would otherwise gather what is sliced or padded.
    fn constrained(&mut self, value: Value, sharding: &Sharding) -> Result<Value, LowerError> {
        let Some(placement) = self.placement else { return Ok(value) };
        let ty = value.ty.clone();
        let site = boundary_site("sharding_constraint", vec![value], ty);
        let attributes = format_args!(" {}", placement.constraint(sharding));
        only(self.statement(&site, "sdy.sharding_constraint", attributes, Signature::Results)?)
    }
}

fn boundary_site(op: &'static str, operands: Vec<Value>, result: TensorType) -> Site<'static> {
    Site { operands, results: vec![result], location: Location { path: "", op }, function: "main" }
}
