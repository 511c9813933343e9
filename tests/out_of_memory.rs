//! A plugin that runs out of memory in truth: the CPU's, asked for far more than a machine has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lapidary::engine::{EngineError, OutOfMemory, Placement, Purpose};
use lapidary::runtime::{CompileOptions, Execution, Program};

/// 64 TiB.
const BYTES: u64 = 1 << 46;

#[test]
fn what_was_asked_is_read_from_the_plugin_itself() {
    let Some(client) = support::cpu() else { return };
    let device = client.addressable_devices().first().unwrap();
    let elements = BYTES / 4;
    let program = format!(
        "func.func @main(%x: tensor<f32>) -> tensor<{elements}xf32> {{\n  \
         %0 = stablehlo.broadcast_in_dim %x, dims = [] : (tensor<f32>) -> tensor<{elements}xf32>\n  \
         return %0 : tensor<{elements}xf32>\n}}\n"
    );
    let x = client.buffer_from_host(&[0; 4], lapidary::runtime::ElementType::F32, &[], device).unwrap();
    let options = CompileOptions::on_device(device.id());
    let executable = client.compile(&Program::stablehlo(&program), &options).unwrap();
    let run = executable.execute(vec![vec![(&x).into()]]).and_then(Execution::wait);
    let source = run.expect_err("no machine has so much memory");
    assert!(source.is_resource_exhausted(), "{source}");

    let tensor = "model.norm.weight".to_string();
    let error = EngineError::LoadTensor { tensor: tensor.clone(), source: Box::new(source) };
    let shortage = OutOfMemory::of(&error, &Placement::single(&client, device)).unwrap();
    assert_eq!(
        (shortage.purpose.clone(), shortage.asked),
        (Purpose::Weight(tensor), Some(BYTES)),
        "{shortage}"
    );
    // The CPU plugin does not count its memory.
    assert_eq!(shortage.device, None);
    assert!(shortage.to_string().contains("64.00 TiB"), "{shortage}");
}
