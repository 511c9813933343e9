//! Compiling and running programs on the CPU plugin.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::thread;

use common::{CPU_DEVICES, SHARDED_DOT, compile, upload, upload_to};
use lapidary_runtime::{
    Argument, ArgumentsProblem, Client, ClientOptions, CompileOptions, CompilerFlag, ElementType, Error,
    ErrorCode, Program, Shape, Value,
};

const ADD: &str = "module @add {
  func.func @main(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
    %sum = stablehlo.add %x, %y : tensor<2x3xf32>
    return %sum : tensor<2x3xf32>
  }
}";

/// Adds 1, in place if the argument is donated.
const INCREMENT: &str = "module @increment {
  func.func @main(%x: tensor<1024xf32> {tf.aliasing_output = 0 : i32}) -> tensor<1024xf32> {
    %one = stablehlo.constant dense<1.0> : tensor<1024xf32>
    %sum = stablehlo.add %x, %one : tensor<1024xf32>
    return %sum : tensor<1024xf32>
  }
}";

/// Sums over all replicas, and returns the sum.
const ALL_REDUCE: &str = "module @all_reduce {
  func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
    %sum = \"stablehlo.all_reduce\"(%x) <{
      replica_groups = dense<[[0, 1, 2, 3, 4, 5, 6, 7]]> : tensor<1x8xi64>
    }> ({
      ^bb0(%a: tensor<f32>, %b: tensor<f32>):
        %c = stablehlo.add %a, %b : tensor<f32>
        stablehlo.return %c : tensor<f32>
    }) : (tensor<2xf32>) -> tensor<2xf32>
    return %sum : tensor<2xf32>
  }
}";

/// Allocates 2^48 bytes, which no machine has.
const TOO_LARGE: &str = "module @too_large {
  func.func @main(%x: tensor<f32>) -> tensor<70368744177664xf32> {
    %y = stablehlo.broadcast_in_dim %x, dims = [] : (tensor<f32>) -> tensor<70368744177664xf32>
    return %y : tensor<70368744177664xf32>
  }
}";

fn problem(error: Error) -> ArgumentsProblem {
    match error {
        Error::Arguments { problem, .. } => problem,
        other => panic!("not about the arguments: {other}"),
    }
}

#[test]
fn inputs_can_be_used_again() {
    let client = require_cpu_client!();
    let executable = compile(&client, ADD);
    let x = upload(&client, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], ElementType::F32, &[2, 3]);
    let y = upload(&client, &[0.5f32; 6], ElementType::F32, &[2, 3]);
    for _ in 0..3 {
        let outputs = executable.run(vec![(&x).into(), (&y).into()]).unwrap();
        assert_eq!(outputs.len(), 1);
        assert_eq!(outputs[0].shape(), &Shape::new(ElementType::F32, [2, 3]));
        assert_eq!(outputs[0].to_vec::<f32>().unwrap(), [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]);
    }
    let twice = executable.run(vec![(&x).into(), (&x).into()]).unwrap();
    assert_eq!(twice[0].to_vec::<f32>().unwrap(), [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
}

#[test]
fn outputs_can_be_passed_on_before_they_are_computed() {
    let client = require_cpu_client!();
    let executable = compile(&client, INCREMENT);
    let mut x = upload(&client, &[0.0f32; 1024], ElementType::F32, &[1024]);
    let mut completions = Vec::new();
    for _ in 0..100 {
        let (mut outputs, completion) = executable.execute(vec![vec![x.into()]]).unwrap().into_parts();
        x = outputs.pop().unwrap().pop().unwrap();
        completions.push(completion);
    }
    assert_eq!(x.to_vec::<f32>().unwrap(), [100.0; 1024]);
    for completion in completions {
        completion.wait().unwrap();
    }
}

#[test]
fn dropping_completions_does_not_disturb_later_executions() {
    let client = require_cpu_client!();
    let executable = compile(&client, INCREMENT);
    let x = upload(&client, &[0.0f32; 1024], ElementType::F32, &[1024]);
    for _ in 0..50 {
        drop(executable.execute(vec![vec![(&x).into()]]).unwrap());
    }
    let y = executable.run(vec![(&x).into()]).unwrap();
    assert_eq!(y[0].to_vec::<f32>().unwrap(), [1.0; 1024]);
}

#[test]
fn a_donated_buffer_is_taken_over_by_the_output() {
    let client = require_cpu_client!();
    let executable = compile(&client, INCREMENT);
    let x = upload(&client, &[1.0f32; 1024], ElementType::F32, &[1024]);
    let address = x.device_address().unwrap();
    let outputs = executable.run(vec![Argument::Donated(x)]).unwrap();
    assert_eq!(outputs[0].device_address().unwrap(), address, "the output lies where the input was");
    assert_eq!(outputs[0].to_vec::<f32>().unwrap(), [2.0; 1024]);
}

#[test]
fn a_borrowed_buffer_survives_a_program_that_would_alias_it() {
    let client = require_cpu_client!();
    let executable = compile(&client, INCREMENT);
    let parameters = executable.parameters().unwrap().unwrap();
    assert_eq!(parameters[0].aliased_output, Some(0), "the program does ask for aliasing");

    let x = upload(&client, &[1.0f32; 1024], ElementType::F32, &[1024]);
    let outputs = executable.run(vec![Argument::Borrowed(&x)]).unwrap();
    assert_ne!(outputs[0].device_address().unwrap(), x.device_address().unwrap());
    assert_eq!(outputs[0].to_vec::<f32>().unwrap(), [2.0; 1024]);
    assert!(!x.is_deleted().unwrap());
    assert_eq!(x.to_vec::<f32>().unwrap(), [1.0; 1024]);
}

#[test]
fn a_donation_that_the_program_does_not_use_is_harmless() {
    let client = require_cpu_client!();
    let executable = compile(&client, ADD);
    let x = upload(&client, &[1.0f32; 6], ElementType::F32, &[2, 3]);
    let y = upload(&client, &[2.0f32; 6], ElementType::F32, &[2, 3]);
    let outputs = executable.run(vec![x.into(), (&y).into()]).unwrap();
    assert_eq!(outputs[0].to_vec::<f32>().unwrap(), [3.0; 6]);
    assert_eq!(y.to_vec::<f32>().unwrap(), [2.0; 6]);
}

#[test]
fn replicas_reduce_over_eight_devices() {
    let client = require_cpu_client!();
    let options = CompileOptions::new().num_replicas(CPU_DEVICES);
    let executable = client.compile(&Program::stablehlo(ALL_REDUCE), &options).unwrap();
    assert_eq!(executable.addressable_devices().len(), CPU_DEVICES);
    assert_eq!(executable.num_replicas().unwrap(), CPU_DEVICES);
    let inputs = (0..CPU_DEVICES)
        .map(|device| upload_to(&client, device, &[device as f32, 1.0], ElementType::F32, &[2]))
        .collect::<Vec<_>>();
    let arguments = inputs.iter().map(|input| vec![input.into()]).collect();
    let outputs = executable.execute(arguments).unwrap().wait().unwrap();
    assert_eq!(outputs.len(), CPU_DEVICES);
    for (device, list) in outputs.iter().enumerate() {
        assert_eq!(list[0].to_vec::<f32>().unwrap(), [28.0, 8.0]);
        assert_eq!(list[0].device().unwrap().id(), client.addressable_devices()[device].id());
    }
}

/// Two clients of one process run the same partitioned program at a time, on devices of the same numbers.
#[test]
fn collectives_of_two_clients_do_not_mix() {
    let Some(plugin) = common::cpu_plugin() else { return };
    let products = |factor: f32| {
        let options = ClientOptions::new().cpu_device_count(CPU_DEVICES as i64);
        let client = Client::create(&plugin, &options).unwrap();
        let ids = client.devices().iter().map(|device| device.id()).collect();
        let options = CompileOptions::new().device_assignment(vec![ids]);
        let executable = client.compile(&Program::stablehlo(SHARDED_DOT), &options).unwrap();
        let shards: Vec<_> = (0..CPU_DEVICES)
            .map(|device| {
                let x = upload_to(&client, device, &[factor; 8], ElementType::F32, &[4, 2]);
                (x, upload_to(&client, device, &[1.0f32; 8], ElementType::F32, &[2, 4]))
            })
            .collect();
        for run in 0..500 {
            let arguments = shards.iter().map(|(x, w)| vec![x.into(), w.into()]).collect();
            for list in executable.execute(arguments).unwrap().wait().unwrap() {
                assert_eq!(list[0].to_vec::<f32>().unwrap(), [16.0 * factor; 16], "run {run} of {factor}");
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| products(1.0));
        scope.spawn(|| products(1000.0));
    });
}

#[test]
fn shardy_partitions_a_program_over_eight_devices() {
    let client = require_cpu_client!();
    // In reverse order, so that the assignment is seen to count.
    let ids = client.devices().iter().rev().map(|device| device.id()).collect::<Vec<_>>();
    let options = CompileOptions::new().device_assignment(vec![ids.clone()]);
    let executable = client.compile(&Program::stablehlo(SHARDED_DOT), &options).unwrap();
    assert_eq!(executable.num_partitions().unwrap(), CPU_DEVICES);
    let devices = executable.addressable_devices();
    assert_eq!(devices.iter().map(|device| device.id()).collect::<Vec<_>>(), ids);
    let parameters = executable.parameters().unwrap().unwrap();
    assert_eq!(parameters[0].shape, Shape::new(ElementType::F32, [4, 2]), "the shard of one device");

    // x[i, k] = i + k and w[k, j] = 1, split along k.
    let mut arguments = Vec::new();
    for (shard, device) in devices.iter().enumerate() {
        let x = (0..8).map(|n| (n / 2 + 2 * shard + n % 2) as f32).collect::<Vec<_>>();
        let x = client.buffer_from_host(bytemuck::cast_slice(&x), ElementType::F32, &[4, 2], device).unwrap();
        let w = [1.0f32; 8];
        let w = client.buffer_from_host(bytemuck::cast_slice(&w), ElementType::F32, &[2, 4], device).unwrap();
        arguments.push(vec![x.into(), w.into()]);
    }
    let outputs = executable.execute(arguments).unwrap().wait().unwrap();
    let expected = (0..16).map(|n| (16 * (n / 4) + 120) as f32).collect::<Vec<_>>();
    for list in &outputs {
        assert_eq!(list[0].to_vec::<f32>().unwrap(), expected);
    }
}

#[test]
fn an_executable_says_what_it_is() {
    let client = require_cpu_client!();
    let executable = compile(&client, INCREMENT);
    assert_eq!(executable.name(), "increment");
    assert_eq!(executable.num_outputs(), 1);
    assert_eq!(executable.output_shapes().unwrap(), [Shape::new(ElementType::F32, [1024])]);
    assert_eq!(executable.num_replicas().unwrap() * executable.num_partitions().unwrap(), 1);
    let cost = executable.cost_analysis().unwrap();
    assert_eq!(cost.get("flops"), Some(&Value::Float(1024.0)));
    let memory = executable.memory_stats().unwrap();
    assert_eq!((memory.argument_bytes, memory.output_bytes, memory.alias_bytes), (4096, 4096, 4096));
    let program = executable.optimized_program().unwrap();
    assert_eq!(program.format, "hlo_with_config");
    assert!(!program.code.is_empty());
    assert_eq!(executable.fingerprint().unwrap(), compile(&client, INCREMENT).fingerprint().unwrap());
    assert_ne!(executable.fingerprint().unwrap(), compile(&client, ADD).fingerprint().unwrap());
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let client = require_cpu_client!();
    let executable = compile(&client, ADD);
    let x = upload(&client, &[1.0f32; 6], ElementType::F32, &[2, 3]);

    let error = executable.run(vec![(&x).into()]).unwrap_err();
    assert_eq!(problem(error), ArgumentsProblem::Count { expected: 2, found: 1, device: 0 });
    let error = executable.run(vec![(&x).into(), (&x).into(), (&x).into()]).unwrap_err();
    assert_eq!(problem(error), ArgumentsProblem::Count { expected: 2, found: 3, device: 0 });
    let error = executable.execute(vec![]).unwrap_err();
    assert_eq!(problem(error), ArgumentsProblem::DeviceCount { expected: 1, found: 0 });

    for (element_type, dims) in [
        (ElementType::F32, vec![3, 2]),
        (ElementType::F32, vec![6]),
        (ElementType::F32, vec![2, 3, 1]),
        (ElementType::S32, vec![2, 3]),
    ] {
        let device = &client.addressable_devices()[0];
        let other = client.buffer_from_host(&[0; 24], element_type, &dims, device).unwrap();
        let error = executable.run(vec![(&x).into(), (&other).into()]).unwrap_err();
        let expected = Shape::new(ElementType::F32, [2, 3]);
        let found = Shape::new(element_type, dims);
        assert_eq!(problem(error), ArgumentsProblem::Shape { index: 1, device: 0, expected, found });
    }

    let elsewhere = upload_to(&client, 1, &[1.0f32; 6], ElementType::F32, &[2, 3]);
    let error = executable.run(vec![(&x).into(), (&elsewhere).into()]).unwrap_err();
    assert_eq!(problem(error), ArgumentsProblem::Device { index: 1, expected: 0, found: 1 });

    let deleted = upload(&client, &[1.0f32; 6], ElementType::F32, &[2, 3]);
    deleted.delete().unwrap();
    let error = executable.run(vec![(&x).into(), (&deleted).into()]).unwrap_err();
    assert_eq!(problem(error), ArgumentsProblem::Deleted { index: 1, device: 0 });

    let other_client = Client::create(client.plugin(), &ClientOptions::new().cpu_device_count(1)).unwrap();
    let foreign = upload(&other_client, &[1.0f32; 6], ElementType::F32, &[2, 3]);
    let error = executable.run(vec![(&x).into(), (&foreign).into()]).unwrap_err();
    assert!(matches!(error, Error::ForeignClient { .. }), "{error}");

    let outputs = executable.run(vec![(&x).into(), (&x).into()]).unwrap();
    assert_eq!(outputs[0].to_vec::<f32>().unwrap(), [2.0; 6], "it still works");
    assert!(!executable.is_deleted());
    executable.delete().unwrap();
    assert!(executable.is_deleted());
    let error = executable.run(vec![(&x).into(), (&x).into()]).unwrap_err();
    assert_eq!(problem(error), ArgumentsProblem::ExecutableDeleted);
}

#[test]
fn an_argument_is_donated_on_all_devices_or_on_none() {
    let client = require_cpu_client!();
    let options = CompileOptions::new().num_replicas(2);
    let executable = client.compile(&Program::stablehlo(INCREMENT), &options).unwrap();
    let first = upload_to(&client, 0, &[1.0f32; 1024], ElementType::F32, &[1024]);
    let second = upload_to(&client, 1, &[1.0f32; 1024], ElementType::F32, &[1024]);
    let error = executable.execute(vec![vec![(&first).into()], vec![second.into()]]).unwrap_err();
    assert_eq!(problem(error), ArgumentsProblem::MixedDonation { index: 0 });
}

#[test]
fn compiler_errors_say_where() {
    let client = require_cpu_client!();
    let compile = |text: &str| client.compile(&Program::stablehlo(text), &CompileOptions::new()).unwrap_err();
    let wrong_type = ADD.replacen("tensor<2x3xf32>\n", "tensor<3x2xf32>\n", 1);
    let error = compile(&wrong_type);
    assert!(matches!(error, Error::Call { function: "PJRT_Client_Compile", .. }), "{error}");
    assert!(error.to_string().contains("3:"), "the line is named: {error}");
    // The text ends where it ends, whatever follows it in memory.
    let error = compile(&"garbage_that_goes_on"[..7]);
    assert!(error.to_string().contains("'garbage'"), "{error}");
    for text in ["", "module {}", "func.func @main(", "\u{0}\u{0}", "π"] {
        assert!(matches!(compile(text), Error::Call { .. }));
    }
}

#[test]
fn compile_options_that_cannot_be_met_are_refused() {
    let client = require_cpu_client!();
    let compile = |options: CompileOptions| client.compile(&Program::stablehlo(ADD), &options);
    for options in [
        CompileOptions::on_device(CPU_DEVICES as i32),
        CompileOptions::on_device(-1),
        CompileOptions::new().num_partitions(CPU_DEVICES + 1),
        CompileOptions::new().device_assignment(vec![vec![0], vec![0]]),
    ] {
        assert!(matches!(compile(options), Err(Error::CompileOptions(_))));
    }
    let unknown = CompileOptions::new().flag("xla_no_such_flag", CompilerFlag::Bool(true));
    let error = compile(unknown).unwrap_err();
    assert!(matches!(error, Error::Call { code: ErrorCode::InvalidArgument, .. }), "{error}");
    let known = CompileOptions::new()
        .flag("xla_cpu_enable_fast_math", CompilerFlag::Bool(false))
        .flag("xla_backend_optimization_level", CompilerFlag::Int(1));
    compile(known).unwrap();
    let third = compile(CompileOptions::on_device(3)).unwrap();
    assert_eq!(third.addressable_devices()[0].id(), 3);
}

#[test]
fn running_out_of_memory_is_an_error() {
    let client = require_cpu_client!();
    let executable = compile(&client, TOO_LARGE);
    let x = upload(&client, &[1.0f32], ElementType::F32, &[]);
    let error = executable.run(vec![(&x).into()]).unwrap_err();
    assert!(matches!(error, Error::Call { code: ErrorCode::ResourceExhausted, .. }), "{error}");
}

#[test]
fn many_threads_share_one_executable() {
    let client = require_cpu_client!();
    let executable = compile(&client, INCREMENT);
    thread::scope(|scope| {
        for thread in 0..8u8 {
            let (client, executable) = (&client, &executable);
            scope.spawn(move || {
                for round in 0..50u8 {
                    let value = f32::from(thread) * 100.0 + f32::from(round);
                    let x = upload(client, &[value; 1024], ElementType::F32, &[1024]);
                    let y = executable.run(vec![(&x).into()]).unwrap();
                    let z = executable.run(y.into_iter().map(Argument::from).collect()).unwrap();
                    assert_eq!(z[0].to_vec::<f32>().unwrap(), [value + 2.0; 1024]);
                }
            });
        }
    });
}

#[test]
fn what_an_execution_needs_may_be_dropped_while_it_runs() {
    let client = require_cpu_client!();
    for _ in 0..20 {
        let executable = compile(&client, INCREMENT);
        let x = upload(&client, &[1.0f32; 1024], ElementType::F32, &[1024]);
        let (outputs, completion) = executable.execute(vec![vec![(&x).into()]]).unwrap().into_parts();
        drop((x, executable));
        assert_eq!(outputs[0][0].to_vec::<f32>().unwrap(), [2.0; 1024]);
        completion.wait().unwrap();
    }
}
