//! Threads that make custom calls known while others compile: plugins keep them in a table without a lock.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Barrier;
use std::thread;

use common::{compile, cpu_client};
use lapidary_runtime::{Call, CallError, CustomCall, Plugin, Result};

const THREADS: usize = 8;

/// Functions of these names that do nothing, and what makes all of them known.
macro_rules! calls {
    ($($name:ident)*) => {
        $(
            struct $name;

            impl CustomCall for $name {
                const NAME: &'static str = concat!("test.registering.", stringify!($name));

                fn call(_: &mut Call<'_>) -> std::result::Result<(), CallError> {
                    Ok(())
                }
            }
        )*

        fn register_all(plugin: &Plugin) -> Result<()> {
            $(plugin.register_custom_call::<$name>()?;)*
            plugin.register_kernels()
        }
    };
}

calls! {
    A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 B0 B1 B2 B3 B4 B5 B6 B7 B8 B9 C0 C1 C2 C3 C4 C5 C6 C7 C8 C9 D0 D1 D2 D3 D4 D5 D6 D7
    E0 E1 E2 E3 E4 E5 E6 E7 E8 E9 F0 F1 F2 F3 F4 F5 F6 F7 F8 F9 G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 H0 H1 H2 H3 H4 H5 H6 H7
}

/// Calls one of the functions, so that compiling it looks the name up.
const PROGRAM: &str = "module @m {
  func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
    %y = stablehlo.custom_call @test.registering.A0(%x) {api_version = 4 : i32, backend_config = {}} : \
         (tensor<2xf32>) -> tensor<2xf32>
    return %y : tensor<2xf32>
  }
}";

/// Alone in its binary: what is registered stays so until the process ends, and only the first time is a change.
#[test]
fn threads_may_register_and_compile_at_the_same_time() {
    let Some(client) = cpu_client() else { return };
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                register_all(client.plugin()).unwrap();
                compile(&client, PROGRAM);
            });
        }
    });
}
