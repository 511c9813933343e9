//! Writing a KV cache by choosing, for each of its slots, what it holds afterwards.

use lapidary_graph::op::{BinaryKind, Comparison, GatherDims};
use lapidary_graph::{DType, Literal, TensorType};

use super::dot::is_narrow_float;
use super::statement::{Region, only};
use super::{Emitter, Signature, Site};
use crate::LowerError;
use crate::mlir::{I64Array, Value};

/// `[cache, update, slots]` of `lapidary_graph::nn::cache_write`, whose shapes go together.
pub(super) struct CacheWrite<'s> {
    /// `[batch, heads, len, ...]`.
    cache: &'s Value,
    /// `[batch, tokens, heads, ...]`.
    update: &'s Value,
    /// `[batch, tokens]` s32; one of `len` or more is no slot.
    slots: &'s Value,
    batch: usize,
    heads: usize,
    len: usize,
    tokens: usize,
    of_head: &'s [usize],
}

impl<'s> CacheWrite<'s> {
    /// What the operands of a composite of this name are, if it is a cache's write and its elements are narrow floats.
    fn of_narrow_floats(name: &str, site: &'s Site<'_>) -> Option<Self> {
        let [cache, update, slots] = site.operands.as_slice() else { return None };
        let [batch, heads, len, of_head @ ..] = cache.ty.dims.as_slice() else { return None };
        let &[rows, tokens] = slots.ty.dims.as_slice() else { return None };
        let (batch, heads, len) = (*batch, *heads, *len);
        let narrow = is_narrow_float(cache.ty.dtype);
        let update_type = cache.ty.with_dims([&[batch, tokens, heads], of_head].concat());
        let fits = update.ty == update_type && rows == batch && tokens > 0;
        (name == "lapidary.cache_write" && narrow && fits).then_some(Self {
            cache,
            update,
            slots,
            batch,
            heads,
            len,
            tokens,
            of_head,
        })
    }

    fn per_slot(&self, dtype: DType) -> TensorType {
        TensorType::new(dtype, [self.batch, self.len])
    }
}

impl Emitter<'_> {
    /// The write that a composite is, where the target wants such by selection.
    pub(super) fn cache_write_by_selection<'s>(
        &self,
        name: &str,
        site: &'s Site<'_>,
    ) -> Option<CacheWrite<'s>> {
        let wanted = self.target.narrow_cache_writes_by_selection && self.placement.is_none();
        wanted.then(|| CacheWrite::of_narrow_floats(name, site)).flatten()
    }

    /// Writes the cache after the write as a selection. All of it is elementwise or a gather of few tokens, which a compiler
    /// without narrow floats fuses; an update or a scatter would be of a whole cache in f32.
    pub(super) fn selected_cache_write(
        &mut self,
        site: &Site<'_>,
        write: &CacheWrite<'_>,
    ) -> Result<Vec<Value>, LowerError> {
        let (written, new) = if write.tokens == 1 {
            self.only_token(site, write)?
        } else {
            self.token_of_each_slot(site, write)?
        };
        let mask_type = write.cache.ty.with_dtype(DType::Pred);
        let mask = self.spread(site, written, mask_type, &[0, 2])?;
        let choice = site.beside(vec![mask, new, write.cache.clone()], write.cache.ty.clone());
        self.statement(&choice, "stablehlo.select", "", Signature::Select)
    }

    /// Which slots `[batch, len]` take the one token of their row, and the token for all of them, as the cache's type.
    fn only_token(&mut self, site: &Site<'_>, write: &CacheWrite<'_>) -> Result<(Value, Value), LowerError> {
        let row = TensorType::new(DType::S32, [write.batch]);
        let taken = self.converted(site, "stablehlo.reshape", write.slots.clone(), row)?;
        let taken = self.spread(site, taken, write.per_slot(DType::S32), &[0])?;
        let slot = self.counted(site, write.per_slot(DType::S32), 1)?;
        let written = self.compared(site, slot, taken, Comparison::Eq)?;

        let head = write.update.ty.with_dims([&[write.batch, write.heads], write.of_head].concat());
        let token = self.converted(site, "stablehlo.reshape", write.update.clone(), head)?;
        let dims: Vec<usize> = (0..write.cache.ty.rank()).filter(|&dim| dim != 2).collect();
        Ok((written, self.spread(site, token, write.cache.ty.clone(), &dims)?))
    }

    /// Which slots `[batch, len]` take a token of their row, and each its own, as the cache's type.
    fn token_of_each_slot(
        &mut self,
        site: &Site<'_>,
        write: &CacheWrite<'_>,
    ) -> Result<(Value, Value), LowerError> {
        // The number of the token that goes to a slot, or -1: the compiler shares it between all layers.
        let pairs = TensorType::new(DType::S32, [write.batch, write.tokens, write.len]);
        let taken = self.spread(site, write.slots.clone(), pairs.clone(), &[0, 1])?;
        let slot = self.counted(site, pairs.clone(), 2)?;
        let goes_there = self.compared(site, slot, taken, Comparison::Eq)?;
        let token = self.counted(site, pairs.clone(), 1)?;
        let nobody = self.number(site, -1)?;
        let none = self.spread(site, nobody.clone(), pairs.clone(), &[])?;
        let choice = site.beside(vec![goes_there, token, none], pairs);
        let candidates = only(self.statement(&choice, "stablehlo.select", "", Signature::Select)?)?;
        let greatest = site.beside(vec![candidates, nobody], write.per_slot(DType::S32));
        let body = [Region::Combining(BinaryKind::Maximum, DType::S32)];
        let dims = format_args!("dimensions = {}", I64Array(&[1]));
        let token = only(self.generic(&greatest, "stablehlo.reduce", dims, &body)?)?;

        let zero = self.number(site, 0)?;
        let zeros = self.spread(site, zero, write.per_slot(DType::S32), &[])?;
        let written = self.compared(site, token.clone(), zeros, Comparison::Ge)?;

        let dims = GatherDims {
            offset_dims: (1..write.cache.ty.rank()).filter(|&dim| dim != 2).collect(),
            collapsed_slice_dims: vec![1],
            operand_batching_dims: vec![0],
            start_indices_batching_dims: vec![0],
            start_index_map: vec![1],
            index_vector_dim: 2,
        };
        let sizes = [&[1, 1, write.heads], write.of_head].concat();
        // That of a slot that takes none is clamped to the first token, and not chosen.
        let tokens = site.beside(vec![write.update.clone(), token], write.cache.ty.clone());
        Ok((written, only(self.gather(&tokens, &dims, &sizes, false)?)?))
    }

    fn spread(
        &mut self,
        site: &Site<'_>,
        value: Value,
        ty: TensorType,
        dims: &[usize],
    ) -> Result<Value, LowerError> {
        only(self.with_dims(&site.beside(vec![value], ty), "stablehlo.broadcast_in_dim", dims)?)
    }

    fn counted(&mut self, site: &Site<'_>, ty: TensorType, dim: usize) -> Result<Value, LowerError> {
        let attributes = format_args!(" dim = {dim}");
        let counting = site.beside(Vec::new(), ty);
        only(self.statement(&counting, "stablehlo.iota", attributes, Signature::Results)?)
    }

    fn compared(
        &mut self,
        site: &Site<'_>,
        left: Value,
        right: Value,
        direction: Comparison,
    ) -> Result<Value, LowerError> {
        let truth = left.ty.with_dtype(DType::Pred);
        only(self.compare(&site.beside(vec![left, right], truth), direction, false)?)
    }

    fn number(&mut self, site: &Site<'_>, number: i64) -> Result<Value, LowerError> {
        self.scalar(site, &Literal::int(DType::S32, number))
    }
}
