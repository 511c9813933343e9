module @merged_rows attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["model"=2]>
  func.func public @main(%arg0: tensor<2x5x4x3x16xbf16> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}, {}, {}, {}]>}, %arg1: tensor<2x4x64x16xbf16> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}, {}, {}]>}, %arg2: tensor<2x4x5x3x64xbf16> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}, {}, {}, {}]>}, %arg3: tensor<2x4x64x16xbf16> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}, {}, {}]>}, %arg4: tensor<2x16xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>}, %arg5: tensor<2x3x16xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}, {}]>}, %arg6: tensor<2x8x16xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}, {}]>}) -> (tensor<2x4x5x3x64xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}, {}, {}, {}]>}, tensor<2x4x5x3x16xbf16> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}, {}, {}, {}]>}, tensor<2x8xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>}, tensor<2x3x8xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}, {}]>}) {
    %0 = stablehlo.dot_general %arg0, %arg1, batching_dims = [0, 2] x [0, 1], contracting_dims = [4] x [3] : (tensor<2x5x4x3x16xbf16>, tensor<2x4x64x16xbf16>) -> tensor<2x4x5x3x64xf32> loc("scores/dot_general")
    %1 = stablehlo.dot_general %arg2, %arg3, batching_dims = [0, 1] x [0, 1], contracting_dims = [4] x [2] : (tensor<2x4x5x3x64xbf16>, tensor<2x4x64x16xbf16>) -> tensor<2x4x5x3x16xf32> loc("mixed/dot_general")
    %2 = stablehlo.convert %1 : (tensor<2x4x5x3x16xf32>) -> tensor<2x4x5x3x16xbf16> loc("mixed/dot_general")
    %3 = stablehlo.dot_general %arg4, %arg6, batching_dims = [0] x [0], contracting_dims = [1] x [2] : (tensor<2x16xf32>, tensor<2x8x16xf32>) -> tensor<2x8xf32> loc("no_rows/dot_general")
    %4 = stablehlo.dot_general %arg5, %arg6, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<2x3x16xf32>, tensor<2x8x16xf32>) -> tensor<2x3x8xf32> loc("one_dimension/dot_general")
    return %0, %2, %3, %4 : tensor<2x4x5x3x64xf32>, tensor<2x4x5x3x16xbf16>, tensor<2x8xf32>, tensor<2x3x8xf32>
  }
}
