module @indexing attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<10x4xf32>, %arg1: tensor<3x1xi32>, %arg2: tensor<3x4xf32>, %arg3: tensor<2x5xf32>, %arg4: tensor<2x1xi32>, %arg5: tensor<10x4xi32>, %arg6: tensor<3x4xi32>) -> (tensor<3x4xf32>, tensor<2xf32>, tensor<10x4xf32>, tensor<10x4xf32>, tensor<10x4xi32>) {
    %0 = "stablehlo.gather"(%arg0, %arg1) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], operand_batching_dims = [], start_indices_batching_dims = [], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = true, slice_sizes = array<i64: 1, 4>}> : (tensor<10x4xf32>, tensor<3x1xi32>) -> tensor<3x4xf32> loc("embed/gather")
    %1 = "stablehlo.gather"(%arg3, %arg4) <{dimension_numbers = #stablehlo.gather<offset_dims = [], collapsed_slice_dims = [1], operand_batching_dims = [0], start_indices_batching_dims = [0], start_index_map = [1], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, 1>}> : (tensor<2x5xf32>, tensor<2x1xi32>) -> tensor<2xf32> loc("gather")
    %2 = "stablehlo.scatter"(%arg0, %arg1, %arg2) <{indices_are_sorted = false, scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], input_batching_dims = [], scatter_indices_batching_dims = [], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, unique_indices = true}> ({
    ^bb0(%3: tensor<f32>, %4: tensor<f32>):
      stablehlo.return %4 : tensor<f32>
    }) : (tensor<10x4xf32>, tensor<3x1xi32>, tensor<3x4xf32>) -> tensor<10x4xf32> loc("scatter")
    %5:2 = "stablehlo.scatter"(%arg0, %arg5, %arg1, %arg2, %arg6) <{indices_are_sorted = false, scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], input_batching_dims = [], scatter_indices_batching_dims = [], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, unique_indices = false}> ({
    ^bb0(%6: tensor<f32>, %7: tensor<i32>, %8: tensor<f32>, %9: tensor<i32>):
      %10 = stablehlo.add %6, %8 : tensor<f32> loc("add")
      %11 = stablehlo.add %7, %9 : tensor<i32> loc("add")
      stablehlo.return %10, %11 : tensor<f32>, tensor<i32>
    }) : (tensor<10x4xf32>, tensor<10x4xi32>, tensor<3x1xi32>, tensor<3x4xf32>, tensor<3x4xi32>) -> (tensor<10x4xf32>, tensor<10x4xi32>) loc("scatter")
    return %0, %1, %2, %5#0, %5#1 : tensor<3x4xf32>, tensor<2xf32>, tensor<10x4xf32>, tensor<10x4xf32>, tensor<10x4xi32>
  }
}
