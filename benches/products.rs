//! The products of a prefill in the forms that could be asked of a plugin, side by side:
//!
//! ```sh
//! cargo bench --bench products            # 512 rows by the matrices of gemma2-2b
//! cargo bench --bench products -- 128 20  # 128 rows, 20 rounds
//! ```
//!
//! Prints GFLOP/s, by the shortest of the rounds. All forms run once in each round, so that what else the machine does
//! meets all of them. `docs/performance.md` says what came of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use lapidary::runtime::plugins::{self, Environment, PluginKind};
use lapidary::runtime::{
    Buffer, Client, ClientOptions, CompileOptions, ElementType, LoadedExecutable, Plugin, Program,
};

/// Name, and the size of each input and output feature.
const MATRICES: [(&str, usize, usize); 5] = [
    ("q", 2304, 2048),
    ("k, v", 2304, 1024),
    ("o", 2048, 2304),
    ("gate, up", 2304, 9216),
    ("down", 9216, 2304),
];

/// A way to write `x · wᵀ` of x `[rows, in]` and w `[out, in]`.
struct Form {
    name: &'static str,
    /// Whether the weight is `[in, out]` instead.
    inputs_first: bool,
    /// Whether the product is `w · xᵀ`, `[out, rows]`.
    weight_first: bool,
    /// Element type of the product.
    product: &'static str,
    /// Whether the result is `[rows, out]` in bf16.
    finished: bool,
}

const FORMS: [Form; 6] = [
    Form {
        name: "x·wᵀ → f32", inputs_first: false, weight_first: false, product: "f32", finished: false
    },
    Form {
        name: "x·wᵀ → f32, bf16",
        inputs_first: false,
        weight_first: false,
        product: "f32",
        finished: true,
    },
    Form {
        name: "x·wᵀ → bf16", inputs_first: false, weight_first: false, product: "bf16", finished: true
    },
    Form { name: "x·w → f32", inputs_first: true, weight_first: false, product: "f32", finished: false },
    Form {
        name: "w·xᵀ → f32", inputs_first: false, weight_first: true, product: "f32", finished: false
    },
    Form {
        name: "w·xᵀ → f32, bf16, transposed",
        inputs_first: false,
        weight_first: true,
        product: "f32",
        finished: true,
    },
];

impl Form {
    fn program(&self, rows: usize, within: usize, out: usize) -> String {
        let x = format!("tensor<{rows}x{within}xbf16>");
        let (w, contracted) = match self.inputs_first {
            true => (format!("tensor<{within}x{out}xbf16>"), 0),
            false => (format!("tensor<{out}x{within}xbf16>"), 1),
        };
        let (left, right, dims) = match self.weight_first {
            true => (("%w", &w, contracted), ("%x", &x, 1), [out, rows]),
            false => (("%x", &x, 1), ("%w", &w, contracted), [rows, out]),
        };
        let of = |dims: [usize; 2], element: &str| format!("tensor<{}x{}x{element}>", dims[0], dims[1]);
        let product = of(dims, self.product);
        let mut lines = vec![format!(
            "%0 = stablehlo.dot_general {}, {}, contracting_dims = [{}] x [{}] : ({}, {}) -> {product}",
            left.0, right.0, left.2, right.2, left.1, right.1
        )];
        let mut result = product.clone();
        if self.finished {
            let narrow = of(dims, "bf16");
            lines.push(format!("%1 = stablehlo.convert %0 : ({product}) -> {narrow}"));
            result = of([rows, out], "bf16");
            let (op, attributes) =
                if self.weight_first { ("transpose", ", dims = [1, 0]") } else { ("reshape", "") };
            lines.push(format!("%2 = stablehlo.{op} %1{attributes} : ({narrow}) -> {result}"));
        }
        let last = lines.len() - 1;
        let body = lines.join("\n    ");
        format!(
            "module @product {{\n  func.func public @main(%x: {x}, %w: {w}) -> {result} {{\n    {body}\n    \
             return %{last} : {result}\n  }}\n}}\n"
        )
    }
}

/// A program and what it takes.
struct Contender {
    executable: LoadedExecutable,
    arguments: Vec<Buffer>,
    best_s: f64,
}

impl Contender {
    fn new(client: &Client, form: &Form, rows: usize, within: usize, out: usize) -> Self {
        let device = &client.addressable_devices()[0];
        let text = form.program(rows, within, out);
        let options = CompileOptions::on_device(device.id());
        let executable = client.compile(&Program::stablehlo(&text), &options).unwrap();
        let weight = if form.inputs_first { [within, out] } else { [out, within] };
        let arguments = [[rows, within], weight].map(|dims| {
            let bytes = numbers().take(2 * dims[0] * dims[1]).collect::<Vec<u8>>();
            let buffer = client.buffer_from_host(&bytes, ElementType::BF16, &dims, device).unwrap();
            buffer.ready().unwrap().wait().unwrap();
            buffer
        });
        Self { executable, arguments: arguments.into(), best_s: f64::INFINITY }
    }

    fn run(&mut self) {
        let arguments = self.arguments.iter().map(Into::into).collect();
        let started = Instant::now();
        for result in self.executable.run(arguments).unwrap() {
            result.ready().unwrap().wait().unwrap();
        }
        self.best_s = self.best_s.min(started.elapsed().as_secs_f64());
    }
}

/// Bytes of bf16 numbers between 0.5 and 2, none like its neighbours.
fn numbers() -> impl Iterator<Item = u8> {
    (0u32..).flat_map(|i| (0x3f00 | (i.wrapping_mul(2_654_435_761) >> 24) as u16).to_le_bytes())
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let (rows, rounds) = (numbers.next().unwrap_or(512), numbers.next().unwrap_or(10));
    let found = plugins::find(&Environment::from_process(), PluginKind::Cpu, None).unwrap();
    let options = ClientOptions::new().cpu_device_count(1);
    let client = Client::create(&Plugin::load(found.path).unwrap(), &options).unwrap();

    println!("| {rows} rows, GFLOP/s | {} |", FORMS.map(|form| form.name).join(" | "));
    println!("|---{}|", "|---:".repeat(FORMS.len()));
    for (name, within, out) in MATRICES {
        let mut forms: Vec<Contender> =
            FORMS.iter().map(|form| Contender::new(&client, form, rows, within, out)).collect();
        forms.iter_mut().for_each(Contender::run);
        forms.iter_mut().for_each(|form| form.best_s = f64::INFINITY);
        (0..rounds).for_each(|_| forms.iter_mut().for_each(Contender::run));
        let flops = 2.0 * (rows * within * out) as f64;
        let cells: Vec<String> =
            forms.iter().map(|form| format!("{:.0}", flops / form.best_s / 1e9)).collect();
        println!("| {name} ({within} → {out}) | {} |", cells.join(" | "));
    }
}
