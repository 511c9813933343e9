//! Executables that were stored and loaded again do what fresh ones do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{CPU_DEVICES, SHARDED_DOT, compile, upload};
use lapidary_runtime::{
    Argument, Client, CompileOptions, CompilerFlag, ElementType, Error, LoadedExecutable, Program,
};

/// Adds 1, in place if the argument is donated.
const INCREMENT: &str = "module @increment {
  func.func @main(%x: tensor<1024xf32> {tf.aliasing_output = 0 : i32}) -> tensor<1024xf32> {
    %one = stablehlo.constant dense<1.0> : tensor<1024xf32>
    %sum = stablehlo.add %x, %one : tensor<1024xf32>
    return %sum : tensor<1024xf32>
  }
}";

fn reloaded(client: &Client, executable: &LoadedExecutable) -> LoadedExecutable {
    client.load_executable(&executable.serialize().unwrap()).unwrap()
}

#[test]
fn a_loaded_executable_says_the_same_of_itself() {
    let client = require_cpu_client!();
    let fresh = compile(&client, INCREMENT);
    let loaded = reloaded(&client, &fresh);
    assert_eq!(loaded.name(), "increment");
    assert_eq!(loaded.num_outputs(), fresh.num_outputs());
    assert_eq!(loaded.parameters().unwrap(), fresh.parameters().unwrap());
    assert_eq!(loaded.output_shapes().unwrap(), fresh.output_shapes().unwrap());
    assert_eq!(loaded.memory_stats().unwrap(), fresh.memory_stats().unwrap());
    assert_eq!(loaded.addressable_devices(), fresh.addressable_devices());
}

#[test]
fn a_loaded_executable_takes_over_donated_buffers_and_leaves_borrowed_ones() {
    let client = require_cpu_client!();
    let loaded = reloaded(&client, &compile(&client, INCREMENT));
    let x = upload(&client, &[1.0f32; 1024], ElementType::F32, &[1024]);
    let outputs = loaded.run(vec![Argument::Borrowed(&x)]).unwrap();
    assert_eq!(outputs[0].to_vec::<f32>().unwrap(), [2.0; 1024]);
    assert_eq!(x.to_vec::<f32>().unwrap(), [1.0; 1024]);

    let address = x.device_address().unwrap();
    let outputs = loaded.run(vec![Argument::Donated(x)]).unwrap();
    assert_eq!(outputs[0].device_address().unwrap(), address, "the output lies where the input was");
    assert_eq!(outputs[0].to_vec::<f32>().unwrap(), [2.0; 1024]);
}

#[test]
fn a_loaded_executable_keeps_its_partitions_on_their_devices() {
    let client = require_cpu_client!();
    // In reverse order, so that the assignment is seen to count.
    let ids = client.devices().iter().rev().map(|device| device.id()).collect::<Vec<_>>();
    let options = CompileOptions::new().device_assignment(vec![ids.clone()]);
    let fresh = client.compile(&Program::stablehlo(SHARDED_DOT), &options).unwrap();
    let loaded = reloaded(&client, &fresh);
    assert_eq!(loaded.num_partitions().unwrap(), CPU_DEVICES);
    let devices = loaded.addressable_devices();
    assert_eq!(devices.iter().map(|device| device.id()).collect::<Vec<_>>(), ids);

    let product = |executable: &LoadedExecutable| {
        let mut arguments = Vec::new();
        for (shard, device) in executable.addressable_devices().iter().enumerate() {
            let x: Vec<f32> = (0..8).map(|n| (n / 2 + 2 * shard + n % 2) as f32).collect();
            let upload = |values: &[f32], dims| {
                client.buffer_from_host(bytemuck::cast_slice(values), ElementType::F32, dims, device).unwrap()
            };
            arguments.push(vec![upload(&x, &[4, 2]).into(), upload(&[1.0; 8], &[2, 4]).into()]);
        }
        let outputs = executable.execute(arguments).unwrap().wait().unwrap();
        outputs.iter().map(|list| list[0].to_vec::<f32>().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(product(&loaded), product(&fresh));
    assert_eq!(product(&loaded)[0][..4], [120.0; 4]);
}

#[test]
fn a_truncated_executable_is_refused() {
    let client = require_cpu_client!();
    let bytes = compile(&client, INCREMENT).serialize().unwrap();
    let truncated = client.load_executable(&bytes[..bytes.len() / 2]).unwrap_err();
    assert!(matches!(truncated, Error::Call { function: "PJRT_Executable_DeserializeAndLoad", .. }));
}

/// What a cache key is made of.
#[test]
fn options_have_bytes_that_tell_them_apart() {
    let client = require_cpu_client!();
    let bytes = |options: CompileOptions| options.serialize(&client.device_ids()).unwrap();
    let ids = client.device_ids().into_iter().collect::<Vec<_>>();
    let flag = |value| CompileOptions::on_device(ids[0]).flag("xla_flag", CompilerFlag::Bool(value));
    let all = [
        bytes(CompileOptions::on_device(ids[0])),
        bytes(CompileOptions::on_device(ids[1])),
        bytes(CompileOptions::new().device_assignment(vec![ids.clone()])),
        bytes(flag(true)),
        bytes(flag(false)),
    ];
    for (index, one) in all.iter().enumerate() {
        assert!(!all[index + 1..].contains(one), "{index}");
    }
}
