module @extrema attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<4x512xf32>, %arg1: tensor<4x512xi32>, %arg2: tensor<f32>, %arg3: tensor<i32>) -> (tensor<4xf32>, tensor<4xi32>, tensor<4x512xf32>) {
    %0 = "stablehlo.reduce"(%arg0, %arg2) <{dimensions = array<i64: 1>}> ({
    ^bb0(%1: tensor<f32>, %2: tensor<f32>):
      %3 = stablehlo.compare GT, %1, %2, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1> loc("maximum")
      %4 = stablehlo.compare NE, %1, %1, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1> loc("maximum")
      %5 = stablehlo.or %3, %4 : tensor<i1> loc("maximum")
      %6 = stablehlo.select %5, %1, %2 : tensor<i1>, tensor<f32> loc("maximum")
      stablehlo.return %6 : tensor<f32>
    }) : (tensor<4x512xf32>, tensor<f32>) -> tensor<4xf32> loc("reduce")
    %7 = "stablehlo.reduce"(%arg1, %arg3) <{dimensions = array<i64: 1>}> ({
    ^bb0(%8: tensor<i32>, %9: tensor<i32>):
      %10 = stablehlo.minimum %8, %9 : tensor<i32> loc("minimum")
      stablehlo.return %10 : tensor<i32>
    }) : (tensor<4x512xi32>, tensor<i32>) -> tensor<4xi32> loc("reduce")
    %11 = stablehlo.minimum %arg0, %arg0 : tensor<4x512xf32> loc("minimum")
    return %0, %7, %11 : tensor<4xf32>, tensor<4xi32>, tensor<4x512xf32>
  }
}
