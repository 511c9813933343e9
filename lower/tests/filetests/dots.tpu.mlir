module @dots attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2x3x256xbf16>, %arg1: tensor<2048x256xbf16> loc("w"), %arg2: tensor<4x256xbf16>, %arg3: tensor<5x2x7xf32>, %arg4: tensor<5x7x2xf32>, %arg5: tensor<1x512xf32>, %arg6: tensor<512x1024xf32>, %arg7: tensor<256xbf16>, %arg8: tensor<4x8xi8>, %arg9: tensor<16x256xbf16>, %arg10: tensor<2x128x4096xbf16>) -> (tensor<2x3x2048xbf16>, tensor<2x3x2048xf32>, tensor<2x3x4xbf16>, tensor<5x2x2xf32>, tensor<1x1024xf32>, tensor<2048xbf16>, tensor<4x4xi32>, tensor<16x2048xbf16>, tensor<3x2x4096xbf16>) {
    %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [2] x [1] : (tensor<2x3x256xbf16>, tensor<2048x256xbf16>) -> tensor<2x3x2048xbf16> loc("few_rows/dot_general")
    %1 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [2] x [1] : (tensor<2x3x256xbf16>, tensor<2048x256xbf16>) -> tensor<2x3x2048xf32> loc("few_rows_wide_result/dot_general")
    %2 = stablehlo.dot_general %arg0, %arg2, contracting_dims = [2] x [1] : (tensor<2x3x256xbf16>, tensor<4x256xbf16>) -> tensor<2x3x4xbf16> loc("small_weight/dot_general")
    %3 = stablehlo.dot_general %arg3, %arg4, batching_dims = [0] x [0], contracting_dims = [2] x [1], precision = [HIGHEST, HIGHEST] : (tensor<5x2x7xf32>, tensor<5x7x2xf32>) -> tensor<5x2x2xf32> loc("batched/dot_general")
    %4 = stablehlo.dot_general %arg5, %arg6, contracting_dims = [1] x [0], precision = [HIGH, HIGH] : (tensor<1x512xf32>, tensor<512x1024xf32>) -> tensor<1x1024xf32> loc("one_row/dot_general")
    %5 = stablehlo.dot_general %arg7, %arg1, contracting_dims = [0] x [1] : (tensor<256xbf16>, tensor<2048x256xbf16>) -> tensor<2048xbf16> loc("no_rows/dot_general")
    %6 = stablehlo.dot_general %arg8, %arg8, contracting_dims = [1] x [1] : (tensor<4x8xi8>, tensor<4x8xi8>) -> tensor<4x4xi32> loc("integers/dot_general")
    %7 = stablehlo.dot_general %arg9, %arg1, contracting_dims = [1] x [1] : (tensor<16x256xbf16>, tensor<2048x256xbf16>) -> tensor<16x2048xbf16> loc("enough_rows/dot_general")
    %8 = stablehlo.reshape %arg0 : (tensor<2x3x256xbf16>) -> tensor<2x3x2x128xbf16> loc("reshape")
    %9 = stablehlo.dot_general %8, %arg10, contracting_dims = [0, 3] x [0, 1] : (tensor<2x3x2x128xbf16>, tensor<2x128x4096xbf16>) -> tensor<3x2x4096xbf16> loc("two_contracted/dot_general")
    return %0, %1, %2, %3, %4, %5, %6, %7, %9 : tensor<2x3x2048xbf16>, tensor<2x3x2048xf32>, tensor<2x3x4xbf16>, tensor<5x2x2xf32>, tensor<1x1024xf32>, tensor<2048xbf16>, tensor<4x4xi32>, tensor<16x2048xbf16>, tensor<3x2x4096xbf16>
  }
}
