module @calls attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<8xbf16>, %arg1: tensor<8xf32>, %arg2: tensor<2xui64>) -> (tensor<8xbf16>, tensor<8xf32>, tensor<8xbf16>, tensor<2xui64>, tensor<3xui32>, tensor<3xi32>) {
    %0:2 = "func.call"(%arg0, %arg0) <{callee = @outer}> : (tensor<8xbf16>, tensor<8xbf16>) -> (tensor<8xbf16>, tensor<8xbf16>) loc("first/call")
    %1:2 = "func.call"(%0#0, %0#1) <{callee = @outer}> : (tensor<8xbf16>, tensor<8xbf16>) -> (tensor<8xbf16>, tensor<8xbf16>) loc("second/call")
    %2 = stablehlo.multiply %1#0, %1#1 : tensor<8xbf16> loc("block.scale/multiply")
    %3 = stablehlo.multiply %arg1, %arg1 : tensor<8xf32> loc("block.scale/multiply")
    %4 = stablehlo.multiply %2, %1#0 : tensor<8xbf16> loc("block.scale/multiply")
    %5:2 = stablehlo.optimization_barrier %4, %3 : tensor<8xbf16>, tensor<8xf32> loc("optimization_barrier")
    %6 = "stablehlo.custom_call"(%5#0) <{api_version = 4 : i32, backend_config = {path = "a\5Cb", eps = 1.0e-6 : f64, flag = true, shape = array<i64: 1, 2>, none = array<i64>, n = -3 : i64}, call_target_name = "my \22kernel\22", has_side_effect = true, operand_layouts = [dense<[0]> : tensor<1xindex>], result_layouts = [dense<[0]> : tensor<1xindex>]}> : (tensor<8xbf16>) -> tensor<8xbf16> loc("custom/custom_call")
    %7:2 = stablehlo.rng_bit_generator %arg2, algorithm = THREE_FRY : (tensor<2xui64>) -> (tensor<2xui64>, tensor<3xui32>) loc("rng_bit_generator")
    %8:2 = stablehlo.rng_bit_generator %7#0, algorithm = PHILOX : (tensor<2xui64>) -> (tensor<2xui64>, tensor<3xui32>) loc("noise/rng_bit_generator")
    %9 = stablehlo.bitcast_convert %8#1 : (tensor<3xui32>) -> tensor<3xi32> loc("noise/rng_bit_generator")
    return %2, %5#1, %6, %8#0, %7#1, %9 : tensor<8xbf16>, tensor<8xf32>, tensor<8xbf16>, tensor<2xui64>, tensor<3xui32>, tensor<3xi32>
  }
  func.func private @outer(%arg0: tensor<8xbf16>, %arg1: tensor<8xbf16>) -> (tensor<8xbf16>, tensor<8xbf16>) {
    %0 = "func.call"(%arg0) <{callee = @inner.1}> : (tensor<8xbf16>) -> tensor<8xbf16> loc("block/call")
    return %arg1, %0 : tensor<8xbf16>, tensor<8xbf16>
  }
  func.func private @inner.1(%arg0: tensor<8xbf16>) -> (tensor<8xbf16>) {
    %0 = stablehlo.add %arg0, %arg0 : tensor<8xbf16> loc("block/add")
    return %0 : tensor<8xbf16>
  }
}
