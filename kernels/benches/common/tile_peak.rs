//! Products of AMX tiles that never leave the registers.

use std::arch::asm;

/// Products of a step: as many sums as there are registers beside the two operands.
const PRODUCTS: usize = 6;

/// Operations of a step: a product is 16 rows by 16 columns by 32 inputs.
pub const OPERATIONS: usize = PRODUCTS * 2 * 16 * 16 * 32;

/// Multiplies.
///
/// # Safety
/// The processor has AMX with bf16, the process may use it, and this thread's tile registers belong to nobody.
pub unsafe fn products(steps: usize) {
    /// Palette 1, and the bytes of a row and the rows of each register.
    #[repr(C, align(64))]
    struct Config([u8; 16], [u16; 16], [u8; 16]);
    let mut config = Config([0; 16], [0; 16], [0; 16]);
    config.0[0] = 1;
    config.1[..8].fill(64);
    config.2[..8].fill(16);
    // 0.5 in bf16.
    let operand = [0x3f00_u16; 16 * 32];
    // SAFETY: the configuration is valid, the operand is a tile, and the caller promises the rest.
    unsafe {
        asm!(
            "ldtilecfg [{config}]",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "tilezero tmm4",
            "tilezero tmm5",
            "tileloadd tmm6, [{operand} + {line}]",
            "tileloadd tmm7, [{operand} + {line}]",
            "2:",
            "tdpbf16ps tmm0, tmm6, tmm7",
            "tdpbf16ps tmm1, tmm6, tmm7",
            "tdpbf16ps tmm2, tmm6, tmm7",
            "tdpbf16ps tmm3, tmm6, tmm7",
            "tdpbf16ps tmm4, tmm6, tmm7",
            "tdpbf16ps tmm5, tmm6, tmm7",
            "dec {steps}",
            "jnz 2b",
            "tilerelease",
            config = in(reg) &raw const config,
            operand = in(reg) operand.as_ptr(),
            line = in(reg) 64usize,
            steps = inout(reg) steps => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, readonly),
        );
    }
}
