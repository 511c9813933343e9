//! Norms, rotations, gates and residual sums beside their limit: the bandwidth at which operands are read and results
//! written.
//!
//! `cargo bench -p lapidary-kernels --bench rows`, or only some: `-- gemma2-2b avx2 128` (models, forms, tokens).
//! With `-- --splice docs/kernels.md` the table there is written anew.

mod common;

use common::limits::Limits;
use common::models::{MODELS, Model};
use common::options::Options;
use common::table::{Table, count};
use common::timing::{Work, best_of};
use half::bf16;
use lapidary_kernels::{
    Features, Pool, RmsNormShape, RopeShape, RopeTables, geglu, residual_add, rms_norm, rope,
};

/// Elements of each of the two operands' memory, and of the results': more than caches hold, in all.
const ELEMENTS: usize = 128 << 20;

#[derive(Clone, Copy)]
enum Kernel {
    Norm,
    Rotation,
    Gate,
    Sum,
}

impl Kernel {
    const ALL: [Self; 4] = [Self::Norm, Self::Rotation, Self::Gate, Self::Sum];

    fn name(self) -> &'static str {
        match self {
            Self::Norm => "norm",
            Self::Rotation => "rotation",
            Self::Gate => "gate",
            Self::Sum => "sum",
        }
    }

    /// Elements of a token.
    fn width(self, model: &Model) -> usize {
        match self {
            Self::Norm | Self::Sum => model.hidden,
            Self::Rotation => model.heads * model.head_dim,
            Self::Gate => model.ffn,
        }
    }

    /// Operands of that width.
    fn operands(self) -> usize {
        match self {
            Self::Norm | Self::Rotation => 1,
            Self::Gate | Self::Sum => 2,
        }
    }
}

fn main() {
    let options = Options::of_arguments();
    let (pool, best) = (Pool::global(), Features::detect());
    let mut limits = Limits::measure(pool);
    let mut memory = Memory {
        first: vec![bf16::from_f32(0.5); ELEMENTS],
        second: vec![bf16::from_f32(0.25); ELEMENTS],
        // Written, so that its pages are there.
        out: vec![bf16::ONE; ELEMENTS],
    };
    let tokens = options.numbers_or(&[512]);
    let columns = tokens.iter().flat_map(|&tokens| {
        Kernel::ALL.map(|kernel| format!("{}, {}", kernel.name(), count(tokens, "token", "tokens")))
    });
    let mut table = Table::new("model", columns);
    let names = MODELS.map(|model| model.name);
    for model in MODELS.iter().filter(|model| options.wants(model.name, &names)) {
        let mut ratios = Vec::new();
        for &tokens in &tokens {
            for kernel in Kernel::ALL {
                let mut ratio = None;
                for (form, features) in options.forms() {
                    let (seconds, work) = measure(pool, features, kernel, (tokens, model), &mut memory);
                    let what = format!("{}, {} of {tokens}, {form}", model.name, kernel.name());
                    let found = work.ratio(&mut limits, &what, seconds);
                    ratio = ratio.or(Some(found).filter(|_| features == best));
                }
                ratios.push(ratio);
            }
        }
        table.row(model.name.to_string(), ratios);
    }
    println!("{}", limits.describe());
    if let Some(document) = &options.splice {
        table.splice(&limits.describe(), document, "rows");
    }
}

/// What calls take turns on, each with a part of its own.
struct Memory {
    first: Vec<bf16>,
    second: Vec<bf16>,
    out: Vec<bf16>,
}

/// Seconds of a kernel on some tokens, and what there is to do.
fn measure(
    pool: &Pool,
    features: Features,
    kernel: Kernel,
    (tokens, model): (usize, &Model),
    memory: &mut Memory,
) -> (f64, Work) {
    let width = kernel.width(model);
    let elements = tokens * width;
    let Memory { first, second, out } = memory;
    let angles = vec![0.5f32; tokens * model.head_dim];
    let seconds = best_of(ELEMENTS / elements, |copy| {
        let range = copy * elements..(copy + 1) * elements;
        let (first, second, out) = (&first[range.clone()], &second[range.clone()], &mut out[range]);
        let done = match kernel {
            Kernel::Norm => {
                let shape = RmsNormShape { rows: tokens, width };
                rms_norm(pool, features, shape, 1e-6, first, &second[..width], out)
            }
            Kernel::Rotation => {
                let shape = RopeShape { tokens, heads: model.heads, head_dim: model.head_dim };
                rope(pool, features, shape, first, RopeTables { cos: &angles, sin: &angles }, out)
            }
            Kernel::Gate => geglu(pool, features, first, second, out),
            Kernel::Sum => residual_add(pool, features, first, second, out),
        };
        assert!(done.is_ok());
    });
    (seconds, Work { bytes: (kernel.operands() + 1) * elements * size_of::<bf16>(), operations: 0 })
}
