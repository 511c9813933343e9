module @elementwise attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("y"), %arg2: tensor<4xi32>, %arg3: tensor<4xui8>, %arg4: tensor<4xi1>) -> (tensor<2x3xf32>, tensor<2x3xi1>, tensor<4xi32>, tensor<4xui8>, tensor<4xi1>) {
    %0 = stablehlo.tanh %arg0 : tensor<2x3xf32> loc("layers.0.mlp/tanh")
    %1 = chlo.erf %0 : tensor<2x3xf32> -> tensor<2x3xf32> loc("erf")
    %2 = stablehlo.exponential_minus_one %1 : tensor<2x3xf32> loc("layers.0.mlp.act/exponential_minus_one")
    %3 = stablehlo.is_finite %2 : (tensor<2x3xf32>) -> tensor<2x3xi1> loc("is_finite")
    %4 = stablehlo.atan2 %2, %arg1 : tensor<2x3xf32> loc("atan2")
    %5 = stablehlo.compare LT, %4, %arg1, FLOAT : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1> loc("compare")
    %6 = stablehlo.compare GE, %4, %arg1, TOTALORDER : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1> loc("compare")
    %7 = stablehlo.select %5, %4, %arg1 : tensor<2x3xi1>, tensor<2x3xf32> loc("select")
    %8 = stablehlo.constant dense<-1.0> : tensor<f32> loc("constant")
    %9 = stablehlo.constant dense<0x7F800000> : tensor<f32> loc("constant")
    %10 = stablehlo.clamp %8, %7, %9 : (tensor<f32>, tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32> loc("clamp")
    %11 = stablehlo.shift_right_arithmetic %arg2, %arg2 : tensor<4xi32> loc("shift_right_arithmetic")
    %12 = stablehlo.compare NE, %11, %arg2, SIGNED : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi1> loc("compare")
    %13 = stablehlo.popcnt %arg3 : tensor<4xui8> loc("popcnt")
    %14 = stablehlo.compare EQ, %13, %arg3, UNSIGNED : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xi1> loc("compare")
    %15 = stablehlo.compare GT, %12, %14, UNSIGNED : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1> loc("compare")
    %16 = stablehlo.constant dense<true> : tensor<i1> loc("constant")
    %17 = stablehlo.select %16, %11, %arg2 : tensor<i1>, tensor<4xi32> loc("select")
    %18 = stablehlo.convert %17 : (tensor<4xi32>) -> tensor<4xbf16> loc("convert")
    %19 = stablehlo.bitcast_convert %18 : (tensor<4xbf16>) -> tensor<4x2xui8> loc("bitcast_convert")
    %20 = stablehlo.xor %15, %arg4 : tensor<4xi1> loc("xor")
    return %10, %6, %17, %13, %20 : tensor<2x3xf32>, tensor<2x3xi1>, tensor<4xi32>, tensor<4xui8>, tensor<4xi1>
  }
}
