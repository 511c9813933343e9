module @merged_rows attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2x5x4x3x16xbf16>, %arg1: tensor<2x4x64x16xbf16>, %arg2: tensor<2x4x5x3x64xbf16>, %arg3: tensor<2x4x64x16xbf16>, %arg4: tensor<2x16xf32>, %arg5: tensor<2x3x16xf32>, %arg6: tensor<2x8x16xf32>) -> (tensor<2x4x5x3x64xf32>, tensor<2x4x5x3x16xbf16>, tensor<2x8xf32>, tensor<2x3x8xf32>) {
    %0 = stablehlo.transpose %arg0, dims = [0, 2, 1, 3, 4] : (tensor<2x5x4x3x16xbf16>) -> tensor<2x4x5x3x16xbf16> loc("scores/dot_general")
    %1 = stablehlo.reshape %0 : (tensor<2x4x5x3x16xbf16>) -> tensor<2x4x15x16xbf16> loc("scores/dot_general")
    %2 = stablehlo.dot_general %1, %arg1, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3] : (tensor<2x4x15x16xbf16>, tensor<2x4x64x16xbf16>) -> tensor<2x4x15x64xf32> loc("scores/dot_general")
    %3 = stablehlo.reshape %2 : (tensor<2x4x15x64xf32>) -> tensor<2x4x5x3x64xf32> loc("scores/dot_general")
    %4 = stablehlo.dot_general %arg2, %arg3, batching_dims = [0, 1] x [0, 1], contracting_dims = [4] x [2] : (tensor<2x4x5x3x64xbf16>, tensor<2x4x64x16xbf16>) -> tensor<2x4x5x3x16xf32> loc("mixed/dot_general")
    %5 = stablehlo.convert %4 : (tensor<2x4x5x3x16xf32>) -> tensor<2x4x5x3x16xbf16> loc("mixed/dot_general")
    %6 = stablehlo.dot_general %arg4, %arg6, batching_dims = [0] x [0], contracting_dims = [1] x [2] : (tensor<2x16xf32>, tensor<2x8x16xf32>) -> tensor<2x8xf32> loc("no_rows/dot_general")
    %7 = stablehlo.dot_general %arg5, %arg6, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<2x3x16xf32>, tensor<2x8x16xf32>) -> tensor<2x3x8xf32> loc("one_dimension/dot_general")
    return %3, %5, %6, %7 : tensor<2x4x5x3x64xf32>, tensor<2x4x5x3x16xbf16>, tensor<2x8xf32>, tensor<2x3x8xf32>
  }
}
