module @literals attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main() -> (tensor<2x2xf32>, tensor<4xf32>, tensor<3xbf16>, tensor<2xf8E4M3FN>, tensor<2xf64>, tensor<3xi4>, tensor<2xui64>, tensor<2x2xi1>, tensor<0x2xf32>, tensor<1x2x1xi8>, tensor<2xf16>) {
    %0 = stablehlo.constant dense<[[1.0, -0.0], [0.1, 1.0e-45]]> : tensor<2x2xf32> loc("constant")
    %1 = stablehlo.constant dense<[0x7F800000, 0xFF800000, 0x7FC00000, 3.4028235e38]> : tensor<4xf32> loc("constant")
    %2 = stablehlo.constant dense<[0.100097656, 1.00025555e30, 0x7FC0]> : tensor<3xbf16> loc("constant")
    %3 = stablehlo.constant dense<[448.0, 0x7F]> : tensor<2xf8E4M3FN> loc("constant")
    %4 = stablehlo.constant dense<[0.1, 1.0e-300]> : tensor<2xf64> loc("constant")
    %5 = stablehlo.constant dense<[-8, 7, 0]> : tensor<3xi4> loc("constant")
    %6 = stablehlo.constant dense<[18446744073709551615, 0]> : tensor<2xui64> loc("constant")
    %7 = stablehlo.constant dense<[[true, false], [false, true]]> : tensor<2x2xi1> loc("constant")
    %8 = stablehlo.constant dense<> : tensor<0x2xf32> loc("constant")
    %9 = stablehlo.constant dense<[[[-128], [127]]]> : tensor<1x2x1xi8> loc("constant")
    %10 = stablehlo.constant dense<[65504.0, 5.9604645e-8]> : tensor<2xf16> loc("constant")
    return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10 : tensor<2x2xf32>, tensor<4xf32>, tensor<3xbf16>, tensor<2xf8E4M3FN>, tensor<2xf64>, tensor<3xi4>, tensor<2xui64>, tensor<2x2xi1>, tensor<0x2xf32>, tensor<1x2x1xi8>, tensor<2xf16>
  }
}
