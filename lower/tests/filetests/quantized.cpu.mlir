module @quantized attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2x4xbf16> loc("x"), %arg1: tensor<3x4xi8> loc("codes"), %arg2: tensor<3x1xf32> loc("scales")) -> (tensor<2x3xf32>) {
    %0 = stablehlo.slice %arg0 [0:1, 0:1] : (tensor<2x4xbf16>) -> tensor<1x1xbf16> loc("composite")
    %1 = stablehlo.reshape %0 : (tensor<1x1xbf16>) -> tensor<bf16> loc("composite")
    %2 = stablehlo.bitcast_convert %1 : (tensor<bf16>) -> tensor<ui16> loc("composite")
    %3 = stablehlo.constant dense<8> : tensor<ui16> loc("composite")
    %4 = stablehlo.shift_right_logical %2, %3 : tensor<ui16> loc("composite")
    %5 = stablehlo.shift_right_logical %4, %3 : tensor<ui16> loc("composite")
    %6 = stablehlo.convert %5 : (tensor<ui16>) -> tensor<i8> loc("composite")
    %7 = stablehlo.broadcast_in_dim %6, dims = [] : (tensor<i8>) -> tensor<3x4xi8> loc("composite")
    %8 = stablehlo.or %arg1, %7 : tensor<3x4xi8> loc("composite")
    %9 = stablehlo.convert %8 : (tensor<3x4xi8>) -> tensor<3x4xbf16> loc("convert")
    %10 = stablehlo.dot_general %arg0, %9, contracting_dims = [1] x [1] : (tensor<2x4xbf16>, tensor<3x4xbf16>) -> tensor<2x3xf32> loc("dot_general")
    %11 = stablehlo.reshape %arg2 : (tensor<3x1xf32>) -> tensor<3xf32> loc("reshape")
    %12 = stablehlo.broadcast_in_dim %11, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32> loc("broadcast_in_dim")
    %13 = stablehlo.multiply %10, %12 : tensor<2x3xf32> loc("multiply")
    return %13 : tensor<2x3xf32>
  }
}
