module @single_batch attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<1x3x4x2x8xbf16>, %arg1: tensor<1x4x16x8xbf16>, %arg2: tensor<1x3x8xbf16>, %arg3: tensor<1x8x5xbf16>, %arg4: tensor<2x3x8xbf16>, %arg5: tensor<2x8x5xbf16>) -> (tensor<1x4x3x2x16xf32>, tensor<1x3x5xbf16>, tensor<2x3x5xbf16>) {
    %0 = stablehlo.reshape %arg0 : (tensor<1x3x4x2x8xbf16>) -> tensor<3x4x2x8xbf16> loc("one_of_two/dot_general")
    %1 = stablehlo.reshape %arg1 : (tensor<1x4x16x8xbf16>) -> tensor<4x16x8xbf16> loc("one_of_two/dot_general")
    %2 = stablehlo.dot_general %0, %1, batching_dims = [1] x [0], contracting_dims = [3] x [2] : (tensor<3x4x2x8xbf16>, tensor<4x16x8xbf16>) -> tensor<4x3x2x16xf32> loc("one_of_two/dot_general")
    %3 = stablehlo.reshape %2 : (tensor<4x3x2x16xf32>) -> tensor<1x4x3x2x16xf32> loc("one_of_two/dot_general")
    %4 = stablehlo.reshape %arg2 : (tensor<1x3x8xbf16>) -> tensor<3x8xbf16> loc("all/dot_general")
    %5 = stablehlo.reshape %arg3 : (tensor<1x8x5xbf16>) -> tensor<8x5xbf16> loc("all/dot_general")
    %6 = stablehlo.dot_general %4, %5, contracting_dims = [1] x [0] : (tensor<3x8xbf16>, tensor<8x5xbf16>) -> tensor<3x5xbf16> loc("all/dot_general")
    %7 = stablehlo.reshape %6 : (tensor<3x5xbf16>) -> tensor<1x3x5xbf16> loc("all/dot_general")
    %8 = stablehlo.dot_general %arg4, %arg5, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<2x3x8xbf16>, tensor<2x8x5xbf16>) -> tensor<2x3x5xbf16> loc("none/dot_general")
    return %3, %7, %8 : tensor<1x4x3x2x16xf32>, tensor<1x3x5xbf16>, tensor<2x3x5xbf16>
  }
}
