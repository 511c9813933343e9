//! The result, written by several threads.

use std::marker::PhantomData;

use half::bf16;
use half::slice::HalfFloatSliceExt;

use crate::pool::Address;
use crate::{LinearResult, LinearShape};

/// A result `[rows, outputs]` of which every thread writes its own outputs.
pub(super) struct Output<'a> {
    start: Start,
    rows: usize,
    outputs: usize,
    _result: PhantomData<&'a mut [f32]>,
}

enum Start {
    Bf16(Address<bf16>),
    F32(Address<f32>),
}

impl<'a> Output<'a> {
    /// The result of a layer of this shape, of whose size it is.
    pub(super) fn new(result: LinearResult<'a>, shape: LinearShape) -> Self {
        let start = match result {
            LinearResult::Bf16(out) => Start::Bf16(Address(out.as_mut_ptr())),
            LinearResult::F32(out) => Start::F32(Address(out.as_mut_ptr())),
        };
        Self { start, rows: shape.rows, outputs: shape.outputs, _result: PhantomData }
    }

    /// Makes all of it zero.
    pub(super) fn clear(&mut self) {
        let zeros = vec![0.0; self.outputs];
        for row in 0..self.rows {
            // SAFETY: nobody else has the result.
            unsafe { self.write(row, 0, &zeros) };
        }
    }

    /// Rounds sums, and stores them in a row from an output on.
    ///
    /// # Safety
    /// No other thread reads or writes there.
    ///
    /// # Panics
    /// If they do not lie within the result.
    pub(super) unsafe fn write(&self, row: usize, output: usize, sums: &[f32]) {
        assert!(
            row < self.rows && output + sums.len() <= self.outputs,
            "[{row}, {output}] and on is outside"
        );
        let at = row * self.outputs + output;
        match &self.start {
            // SAFETY: within the result, as just checked, and this thread's alone, as the caller promises.
            Start::Bf16(start) => unsafe { std::slice::from_raw_parts_mut(start.get().add(at), sums.len()) }
                .convert_from_f32_slice(sums),
            // SAFETY: as above.
            Start::F32(start) => unsafe { std::slice::from_raw_parts_mut(start.get().add(at), sums.len()) }
                .copy_from_slice(sums),
        }
    }
}
