//! Compiling and running programs on the CPU plugin.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{CPU_DEVICES, upload};
use lapidary_runtime::{
    Argument, ArgumentsProblem, Buffer, Client, CompileOptions, CompilerFlag, ElementType, Error, ErrorCode,
    LoadedExecutable, Program, Shape, SharedBytes, Value,
};

const ADD: &str = "module @add {
  func.func @main(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
    %sum = stablehlo.add %x, %y : tensor<2x3xf32>
    return %sum : tensor<2x3xf32>
  }
}";

/// Adds 1 in place, if the argument is donated.
const INCREMENT: &str = "module @increment {
  func.func @main(%x: tensor<1024xf32> {tf.aliasing_output = 0 : i32}) -> tensor<1024xf32> {
    %one = stablehlo.constant dense<1.0> : tensor<1024xf32>
    %sum = stablehlo.add %x, %one : tensor<1024xf32>
    return %sum : tensor<1024xf32>
  }
}";

fn compile(client: &Client, text: &str) -> LoadedExecutable {
    client.compile(&Program::stablehlo(text), &CompileOptions::new()).expect("the program compiles")
}

#[test]
fn adds_two_arrays() {
    let client = require_cpu_client!();
    let executable = compile(&client, ADD);
    let x = upload(&client, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], ElementType::F32, &[2, 3]);
    let y = upload(&client, &[0.5f32; 6], ElementType::F32, &[2, 3]);
    let outputs = executable.run(vec![(&x).into(), (&y).into()]).unwrap();
    assert_eq!(outputs.len(), 1);
    assert_eq!(outputs[0].to_vec::<f32>().unwrap(), [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]);
    assert_eq!(x.to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "inputs can be used again");
}
