module @sharding attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<4x8xf32> loc("x"), %arg1: tensor<16x8xf32> loc("w"), %arg2: tensor<4x6xf32> {tf.aliasing_output = 1 : i32} loc("cache"), %arg3: tensor<4x8xf32> {tf.aliasing_output = 2 : i32}, %arg4: tensor<i32>) -> (tensor<4x16xf32>, tensor<4x6xf32>, tensor<4x8xf32>, tensor<i32>) {
    %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [1] : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32> loc("mlp/dot_general")
    %1 = "func.call"(%0) <{callee = @mesh}> : (tensor<4x16xf32>) -> tensor<4x16xf32> loc("call")
    %2 = stablehlo.add %arg2, %arg2 : tensor<4x6xf32> loc("add")
    return %1, %2, %arg3, %arg4 : tensor<4x16xf32>, tensor<4x6xf32>, tensor<4x8xf32>, tensor<i32>
  }
  func.func private @mesh(%arg0: tensor<4x16xf32>) -> (tensor<4x16xf32>) {
    %0 = stablehlo.tanh %arg0 : tensor<4x16xf32> loc("tanh")
    return %0 : tensor<4x16xf32>
  }
}
