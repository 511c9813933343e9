module @quantized attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["model"=2]>
  func.func public @main(%arg0: tensor<2x4xbf16> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>} loc("x"), %arg1: tensor<3x4xi8> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>} loc("codes"), %arg2: tensor<3x1xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>} loc("scales")) -> (tensor<2x3xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}, {}]>}) {
    %0 = stablehlo.convert %arg1 : (tensor<3x4xi8>) -> tensor<3x4xbf16> loc("convert")
    %1 = stablehlo.dot_general %arg0, %0, contracting_dims = [1] x [1] : (tensor<2x4xbf16>, tensor<3x4xbf16>) -> tensor<2x3xf32> loc("dot_general")
    %2 = stablehlo.reshape %arg2 : (tensor<3x1xf32>) -> tensor<3xf32> loc("reshape")
    %3 = stablehlo.broadcast_in_dim %2, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32> loc("broadcast_in_dim")
    %4 = stablehlo.multiply %1, %3 : tensor<2x3xf32> loc("multiply")
    return %4 : tensor<2x3xf32>
  }
}
