module @extrema attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<4x512xf32>, %arg1: tensor<4x512xi32>, %arg2: tensor<f32>, %arg3: tensor<i32>) -> (tensor<4xf32>, tensor<4xi32>, tensor<4x512xf32>) {
    %0 = "stablehlo.reduce"(%arg0, %arg2) <{dimensions = array<i64: 1>}> ({
    ^bb0(%1: tensor<f32>, %2: tensor<f32>):
      %3 = stablehlo.maximum %1, %2 : tensor<f32> loc("maximum")
      stablehlo.return %3 : tensor<f32>
    }) : (tensor<4x512xf32>, tensor<f32>) -> tensor<4xf32> loc("reduce")
    %4 = "stablehlo.reduce"(%arg1, %arg3) <{dimensions = array<i64: 1>}> ({
    ^bb0(%5: tensor<i32>, %6: tensor<i32>):
      %7 = stablehlo.minimum %5, %6 : tensor<i32> loc("minimum")
      stablehlo.return %7 : tensor<i32>
    }) : (tensor<4x512xi32>, tensor<i32>) -> tensor<4xi32> loc("reduce")
    %8 = stablehlo.minimum %arg0, %arg0 : tensor<4x512xf32> loc("minimum")
    return %0, %4, %8 : tensor<4xf32>, tensor<4xi32>, tensor<4x512xf32>
  }
}
