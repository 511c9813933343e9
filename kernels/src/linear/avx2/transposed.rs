//! `x` as the products of many rows take it.

use std::cell::RefCell;

use half::bf16;

use crate::Pool;
use crate::avx2::panel::{self, Column, ROWS};

/// `x` in f32, its columns cut in blocks of `depth`; in a block, its rows in panels; in a panel, column by column. Rows that `x`
/// lacks for a whole panel are zero.
pub(super) struct Transposed<'t> {
    columns: &'t [Column],
    pub(super) panels: usize,
    inputs: usize,
    depth: usize,
}

impl Transposed<'_> {
    /// Transposes `x` and calls `then` with it.
    ///
    /// # Safety
    /// The processor has AVX2.
    pub(super) unsafe fn with(
        pool: &Pool,
        x: &[bf16],
        inputs: usize,
        depth: usize,
        then: impl FnOnce(&Transposed<'_>),
    ) {
        thread_local! {
            // Kept from call to call: fresh memory costs a fault a page.
            static COLUMNS: RefCell<Vec<Column>> = const { RefCell::new(Vec::new()) };
        }
        COLUMNS.with_borrow_mut(|columns| {
            let panels = (x.len() / inputs).div_ceil(ROWS);
            let count = panels * inputs;
            columns.resize(count.max(columns.len()), Column::default());
            let columns = columns.get_mut(..count).unwrap_or_default();
            pool.each_chunk(columns, panels * depth, &|block, columns| {
                for (panel, columns) in columns.chunks_mut(columns.len() / panels).enumerate() {
                    let width = columns.len();
                    let row = |row: usize| {
                        let at = (panel * ROWS + row) * inputs + block * depth;
                        x.get(at..at + width).unwrap_or_default()
                    };
                    // SAFETY: the caller's promise.
                    unsafe { panel::fill(row, columns) };
                }
            });
            then(&Transposed { columns, panels, inputs, depth });
        });
    }

    /// The columns of a panel from the first of a block on.
    pub(super) fn panel(&self, block: usize, panel: usize) -> &[Column] {
        let first = block * self.depth;
        let width = self.depth.min(self.inputs - first);
        let start = first * self.panels + panel * width;
        self.columns.get(start..start + width).unwrap_or_default()
    }
}
