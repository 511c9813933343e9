//! Compiling for TPUs that are not there. The TPU plugin reads environment variables while it loads, so that
//! the test proper runs in a child process that has them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::process::{Command, Stdio};

use lapidary_runtime::plugins::PluginKind;
use lapidary_runtime::{
    Attributes, CompileOptions, ElementType, Error, Plugin, Program, Shape, Topology, Value,
};

const PLUGIN: &str = "LAPIDARY_TEST_TPU_PLUGIN";

const DOT: &str = "module @dot {
  sdy.mesh @mesh = <[\"model\"=4]>
  func.func @main(
      %x: tensor<8x512xbf16> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>},
      %w: tensor<512x1024xbf16> {sdy.sharding = #sdy.sharding<@mesh, [{}, {\"model\"}]>})
      -> (tensor<8x1024xbf16> {sdy.sharding = #sdy.sharding<@mesh, [{}, {\"model\"}]>}) {
    %y = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0]
        : (tensor<8x512xbf16>, tensor<512x1024xbf16>) -> tensor<8x1024xbf16>
    return %y : tensor<8x1024xbf16>
  }
}";

#[test]
fn the_tpu_plugin_compiles_without_a_tpu() {
    let Some(path) = common::plugin_path(PluginKind::Tpu) else { return };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "compile_for_absent_tpus", "--ignored", "--nocapture"])
        .env(PLUGIN, path)
        .envs([("TPU_SKIP_MDS_QUERY", "1"), ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")])
        .envs([("TPU_ACCELERATOR_TYPE", "v5p-8"), ("TPU_WORKER_HOSTNAMES", "localhost")])
        .env("TPU_WORKER_ID", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
}

#[test]
#[ignore = "the child process of the_tpu_plugin_compiles_without_a_tpu"]
fn compile_for_absent_tpus() {
    let plugin = Plugin::load(std::env::var_os(PLUGIN).expect("a plugin")).unwrap();
    let topology = Topology::create(&plugin, "v5p:2x2x1", &Attributes::new()).unwrap();
    assert_eq!(topology.platform_name().unwrap(), "tpu");
    assert_eq!(topology.devices().len(), 4);
    let device = &topology.devices()[0];
    assert!(device.kind.contains("v5"), "{device:?}");
    assert!(matches!(device.attributes.get("coords"), Some(Value::Ints(coords)) if coords.len() == 3));
    assert!(!topology.serialize().unwrap().is_empty());

    let ids = topology.devices().iter().map(|device| device.id).collect::<Vec<_>>();
    let options = CompileOptions::new().device_assignment(vec![ids]);
    let executable = topology.compile(&Program::stablehlo(DOT), &options).unwrap();
    assert_eq!(executable.name(), "dot");
    assert_eq!(executable.num_partitions().unwrap(), 4);
    let parameters = executable.parameters().unwrap().expect("the TPU plugin gives the optimised program");
    assert_eq!(parameters[1].shape, Shape::new(ElementType::BF16, [512, 256]));
    assert_eq!(executable.output_shapes().unwrap(), [Shape::new(ElementType::BF16, [8, 256])]);
    let memory = executable.memory_stats().unwrap();
    assert!(memory.argument_bytes >= (8 * 512 + 512 * 256) * 2, "{memory:?}");
    assert!(memory.peak_bytes > 0, "{memory:?}");
    assert!(executable.cost_analysis().unwrap().contains_key("flops"));
    assert_eq!(executable.fingerprint().unwrap().len(), 32);
    assert!(!executable.serialize().unwrap().is_empty());

    // Ids that would end the process are refused, and names that do not exist are errors.
    let outside = CompileOptions::new().device_assignment(vec![vec![0, 1, 2, 4]]);
    let error = topology.compile(&Program::stablehlo(DOT), &outside).unwrap_err();
    assert!(matches!(error, Error::CompileOptions(_)), "{error}");
    let error = Topology::create(&plugin, "v99:1x1", &Attributes::new()).unwrap_err();
    assert!(matches!(error, Error::Call { function: "PJRT_TopologyDescription_Create", .. }), "{error}");
}
