module @single_batch attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<1x3x4x2x8xbf16>, %arg1: tensor<1x4x16x8xbf16>, %arg2: tensor<1x3x8xbf16>, %arg3: tensor<1x8x5xbf16>, %arg4: tensor<2x3x8xbf16>, %arg5: tensor<2x8x5xbf16>) -> (tensor<1x4x3x2x16xf32>, tensor<1x3x5xbf16>, tensor<2x3x5xbf16>) {
    %0 = stablehlo.dot_general %arg0, %arg1, batching_dims = [0, 2] x [0, 1], contracting_dims = [4] x [3] : (tensor<1x3x4x2x8xbf16>, tensor<1x4x16x8xbf16>) -> tensor<1x4x3x2x16xf32> loc("one_of_two/dot_general")
    %1 = stablehlo.dot_general %arg2, %arg3, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<1x3x8xbf16>, tensor<1x8x5xbf16>) -> tensor<1x3x5xbf16> loc("all/dot_general")
    %2 = stablehlo.dot_general %arg4, %arg5, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<2x3x8xbf16>, tensor<2x8x5xbf16>) -> tensor<2x3x5xbf16> loc("none/dot_general")
    return %0, %1, %2 : tensor<1x4x3x2x16xf32>, tensor<1x3x5xbf16>, tensor<2x3x5xbf16>
  }
}
