module @shapes attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2x3xbf16> loc("x"), %arg1: tensor<i32> loc("i"), %arg2: tensor<0x3xbf16>) -> (tensor<3x4x2xbf16>, tensor<1x3xbf16>, tensor<2x3xbf16>, tensor<6xbf16>, tensor<2x3xbf16>, tensor<2x2xi64>, tensor<3x3xbf16>) {
    %0 = stablehlo.broadcast_in_dim %arg0, dims = [0, 2] : (tensor<2x3xbf16>) -> tensor<2x4x3xbf16> loc("broadcast_in_dim")
    %1 = stablehlo.transpose %0, dims = [2, 1, 0] : (tensor<2x4x3xbf16>) -> tensor<3x4x2xbf16> loc("transpose")
    %2 = stablehlo.concatenate %arg0, %arg0, dim = 0 : (tensor<2x3xbf16>, tensor<2x3xbf16>) -> tensor<4x3xbf16> loc("concatenate")
    %3 = stablehlo.slice %2 [0:4:2, 1:3] : (tensor<4x3xbf16>) -> tensor<2x2xbf16> loc("slice")
    %4 = stablehlo.dynamic_slice %arg0, %arg1, %arg1, sizes = [1, 3] : (tensor<2x3xbf16>, tensor<i32>, tensor<i32>) -> tensor<1x3xbf16> loc("dynamic_slice")
    %5 = stablehlo.dynamic_update_slice %arg0, %4, %arg1, %arg1 : (tensor<2x3xbf16>, tensor<1x3xbf16>, tensor<i32>, tensor<i32>) -> tensor<2x3xbf16> loc("dynamic_update_slice")
    %6 = stablehlo.constant dense<0.0> : tensor<bf16> loc("constant")
    %7 = stablehlo.pad %3, %6, low = [1, -1], high = [-1, 1], interior = [0, 1] : (tensor<2x2xbf16>, tensor<bf16>) -> tensor<2x3xbf16> loc("pad")
    %8 = stablehlo.reshape %5 : (tensor<2x3xbf16>) -> tensor<6xbf16> loc("reshape")
    %9 = stablehlo.reverse %7, dims = [0, 1] : tensor<2x3xbf16> loc("reverse")
    %10 = stablehlo.iota dim = 1 : tensor<2x2xi64> loc("iota")
    %11 = stablehlo.concatenate %arg2, %9, dim = 0 : (tensor<0x3xbf16>, tensor<2x3xbf16>) -> tensor<2x3xbf16> loc("concatenate")
    %12 = stablehlo.slice %2 [1:4, 0:3] : (tensor<4x3xbf16>) -> tensor<3x3xbf16> loc("slice")
    return %1, %4, %5, %8, %11, %10, %12 : tensor<3x4x2xbf16>, tensor<1x3xbf16>, tensor<2x3xbf16>, tensor<6xbf16>, tensor<2x3xbf16>, tensor<2x2xi64>, tensor<3x3xbf16>
  }
}
