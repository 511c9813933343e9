module @sharding attributes {mhlo.num_partitions = 8 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh_ = <["data"=2, "model"=4]>
  func.func public @main(%arg0: tensor<4x8xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{"data"}, {}]>} loc("x"), %arg1: tensor<16x8xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{"model"}, {}]>} loc("w"), %arg2: tensor<4x6xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{"data"}, {"model":(1)2}]>, tf.aliasing_output = 1 : i32} loc("cache"), %arg3: tensor<4x8xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{}, {}]>, jax.buffer_donor = true}, %arg4: tensor<i32> {sdy.sharding = #sdy.sharding<@mesh_, []>}) -> (tensor<4x16xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{"data"}, {"model"}]>}, tensor<4x6xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{"data"}, {"model":(1)2}]>}, tensor<4x8xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{"data"}, {"model"}]>}, tensor<i32> {sdy.sharding = #sdy.sharding<@mesh_, []>}) {
    %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [1] : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32> loc("mlp/dot_general")
    %1 = sdy.sharding_constraint %0 <@mesh_, [{"data"}, {"model"}]> : tensor<4x16xf32> loc("mlp/sharding_constraint")
    %2 = "func.call"(%1) <{callee = @mesh}> : (tensor<4x16xf32>) -> tensor<4x16xf32> loc("call")
    %3 = sdy.sharding_constraint %2 <@mesh_, [{}, {}]> : tensor<4x16xf32> loc("sharding_constraint")
    %4 = stablehlo.add %arg2, %arg2 : tensor<4x6xf32> loc("add")
    return %3, %4, %arg3, %arg4 : tensor<4x16xf32>, tensor<4x6xf32>, tensor<4x8xf32>, tensor<i32>
  }
  func.func private @mesh(%arg0: tensor<4x16xf32>) -> (tensor<4x16xf32>) {
    %0 = stablehlo.tanh %arg0 : tensor<4x16xf32> loc("tanh")
    return %0 : tensor<4x16xf32>
  }
}
