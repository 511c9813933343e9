//! Every op and every element type that it takes: the CPU plugin against the reference interpreter.
//!
//! A case is a small function with inputs. The cases of a group are lowered and compiled together as one
//! program, and each result is compared with the interpreter's within the tolerance of its op and type
//! (`tolerance.rs`). What the plugin does not do is listed in `known.rs` and asserted not to work still.
//! `coverage.txt` is the golden list of what is tested (`BLESS=1` rewrites it).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod case;
mod cases;
mod coverage;
mod inputs;
mod isolation;
mod known;
mod locations;
mod plugin;
#[path = "../support/plugin.rs"]
mod plugin_file;
mod run;
mod sharded;
mod sharded_quantized;
mod tolerance;

use case::Suite;
use lapidary::lower::{Target, target};

macro_rules! groups {
    ($($(#[$doc:meta])* $group:ident;)*) => {
        $(
            $(#[$doc])*
            #[test]
            fn $group() {
                let Some(client) = plugin::cpu_client() else { return };
                run::check(&client, &target::CPU, &cases::$group());
            }
        )*

        /// Every case of every group.
        fn all_cases() -> Suite {
            let mut all = Suite::default();
            $(all.extend(cases::$group());)*
            all
        }
    };
}

groups! {
    unary;
    binary;
    choice;
    conversions;
    shapes;
    indexing;
    dots;
    reductions;
    sorts;
    control_flow;
    random_bits;
}

/// Dots in the forms of the other targets.
#[test]
fn dots_of_other_targets() {
    let Some(client) = plugin::cpu_client() else { return };
    for target in [&target::TPU, &target::CUDA] {
        run::check(&client, target, &cases::dots());
    }
}

/// Products of weights in few bits, in the forms of every target.
#[test]
fn quantized_products_of_every_target() {
    let Some(client) = plugin::cpu_client() else { return };
    for target in Target::ALL {
        run::check(&client, target, &cases::quantized());
    }
}

/// The same composites in the forms that the CPU's table chooses without them.
#[test]
fn composites_without_kernels() {
    let Some(client) = plugin::cpu_client() else { return };
    run::check(&client, &target::CPU, &cases::kernels());
}

/// Composites as our kernels: what they compute is what their decompositions do.
#[test]
fn kernels_compute_what_their_composites_say() {
    let Some(client) = plugin::cpu_client() else { return };
    client.plugin().register_kernels().unwrap();
    let target = target::CPU.with_kernels(target::KERNELS.to_vec());
    run::check(&client, &target, &cases::kernels());
    run::check(&client, &target, &cases::quantized());
}

#[test]
fn coverage_is_what_the_golden_list_says() {
    coverage::check(&all_cases());
}
