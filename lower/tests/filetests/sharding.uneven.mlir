module @sharding attributes {mhlo.num_partitions = 3 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh_ = <["model"=3]>
  func.func public @main(%arg0: tensor<4x8xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{}, {}]>} loc("x"), %arg1: tensor<18x8xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{"model"}, {}]>} loc("w"), %arg2: tensor<4x6xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{}, {"model"}]>, tf.aliasing_output = 1 : i32} loc("cache"), %arg3: tensor<4x8xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{}, {}]>, tf.aliasing_output = 2 : i32}, %arg4: tensor<i32> {sdy.sharding = #sdy.sharding<@mesh_, []>}) -> (tensor<4x18xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{}, {"model"}]>}, tensor<4x6xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{}, {"model"}]>}, tensor<4x8xf32> {sdy.sharding = #sdy.sharding<@mesh_, [{}, {}]>}, tensor<i32> {sdy.sharding = #sdy.sharding<@mesh_, []>}) {
    %0 = stablehlo.slice %arg1 [0:16, 0:8] : (tensor<18x8xf32>) -> tensor<16x8xf32> loc("unpad")
    %1 = sdy.sharding_constraint %0 <@mesh_, [{"model"}, {}]> : tensor<16x8xf32> loc("sharding_constraint")
    %2 = stablehlo.dot_general %arg0, %1, contracting_dims = [1] x [1] : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32> loc("mlp/dot_general")
    %3 = sdy.sharding_constraint %2 <@mesh_, [{}, {"model"}]> : tensor<4x16xf32> loc("mlp/sharding_constraint")
    %4 = "func.call"(%3) <{callee = @mesh}> : (tensor<4x16xf32>) -> tensor<4x16xf32> loc("call")
    %5 = sdy.sharding_constraint %4 <@mesh_, [{}, {}]> : tensor<4x16xf32> loc("sharding_constraint")
    %6 = stablehlo.add %arg2, %arg2 : tensor<4x6xf32> loc("add")
    %7 = sdy.sharding_constraint %5 <@mesh_, [{}, {"model"}]> : tensor<4x16xf32> loc("sharding_constraint")
    %8 = stablehlo.constant dense<0.0> : tensor<f32> loc("pad")
    %9 = stablehlo.pad %7, %8, low = [0, 0], high = [0, 2], interior = [0, 0] : (tensor<4x16xf32>, tensor<f32>) -> tensor<4x18xf32> loc("pad")
    return %9, %6, %arg3, %arg4 : tensor<4x18xf32>, tensor<4x6xf32>, tensor<4x8xf32>, tensor<i32>
  }
  func.func private @mesh(%arg0: tensor<4x16xf32>) -> (tensor<4x16xf32>) {
    %0 = stablehlo.tanh %arg0 : tensor<4x16xf32> loc("tanh")
    return %0 : tensor<4x16xf32>
  }
}
