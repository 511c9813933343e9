//! Control flow whose functions are built in place.

use crate::{BuildError, FunctionBuilder, TensorType, ValueId};

impl FunctionBuilder<'_> {
    /// Iteration while `cond` gives true. Both functions get the carried values as their parameters, and `body` returns
    /// their next state; `name` is the body's.
    ///
    /// # Errors
    /// Whatever the functions return, or if their results are not of the types that a loop needs.
    pub fn while_with(
        &mut self,
        name: &str,
        carried: &[ValueId],
        cond: impl FnOnce(&mut FunctionBuilder<'_>, &[ValueId]) -> Result<ValueId, BuildError>,
        body: impl FnOnce(&mut FunctionBuilder<'_>, &[ValueId]) -> Result<Vec<ValueId>, BuildError>,
    ) -> Result<Vec<ValueId>, BuildError> {
        let types = self.types(carried)?;
        let cond = self.nested(&format!("{name}.cond"), |b| {
            let params = b.params(&types);
            Ok(vec![cond(b, &params)?])
        })?;
        let body = self.nested(name, |b| {
            let params = b.params(&types);
            body(b, &params)
        })?;
        self.while_loop(carried, cond, body)
    }

    /// The one result of `then` if the scalar `pred` holds, otherwise that of `otherwise`. Both functions get `args` as
    /// their parameters; `name` is that of `then`.
    ///
    /// # Errors
    /// Whatever the functions return, or if their results are not of one type.
    pub fn if_with(
        &mut self,
        name: &str,
        pred: ValueId,
        args: &[ValueId],
        then: impl FnOnce(&mut FunctionBuilder<'_>, &[ValueId]) -> Result<ValueId, BuildError>,
        otherwise: impl FnOnce(&mut FunctionBuilder<'_>, &[ValueId]) -> Result<ValueId, BuildError>,
    ) -> Result<ValueId, BuildError> {
        let types = self.types(args)?;
        let then = self.nested(name, |b| {
            let params = b.params(&types);
            Ok(vec![then(b, &params)?])
        })?;
        let otherwise = self.nested(&format!("{name}.not"), |b| {
            let params = b.params(&types);
            Ok(vec![otherwise(b, &params)?])
        })?;
        let results = self.if_else(pred, args, then, otherwise)?;
        self.nth("if", &results, 0)
    }

    /// Unnamed parameters of these types.
    fn params(&mut self, types: &[TensorType]) -> Vec<ValueId> {
        types.iter().map(|ty| self.param("", ty.clone())).collect()
    }

    fn types(&self, values: &[ValueId]) -> Result<Vec<TensorType>, BuildError> {
        values.iter().map(|&value| self.ty(value)).collect()
    }
}
