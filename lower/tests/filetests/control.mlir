module @control attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<4x8xf32>, %arg1: tensor<i32>, %arg2: tensor<i1>, %arg3: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xi32>, tensor<4x8xf32>, tensor<4x8xi32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %0 = stablehlo.constant dense<0xFF800000> : tensor<f32> loc("constant")
    %1 = stablehlo.constant dense<0> : tensor<i32> loc("constant")
    %2 = "stablehlo.reduce"(%arg0, %0) <{dimensions = array<i64: 1>}> ({
    ^bb0(%3: tensor<f32>, %4: tensor<f32>):
      %5 = stablehlo.maximum %3, %4 : tensor<f32> loc("maximum")
      stablehlo.return %5 : tensor<f32>
    }) : (tensor<4x8xf32>, tensor<f32>) -> tensor<4xf32> loc("logits.max/reduce")
    %6 = stablehlo.iota dim = 1 : tensor<4x8xi32> loc("iota")
    %7:2 = "stablehlo.reduce"(%arg0, %6, %0, %1) <{dimensions = array<i64: 1>}> ({
    ^bb0(%8: tensor<f32>, %9: tensor<i32>, %10: tensor<f32>, %11: tensor<i32>):
      %12 = stablehlo.compare GE, %8, %10, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1> loc("compare")
      %13 = stablehlo.select %12, %8, %10 : tensor<i1>, tensor<f32> loc("select")
      %14 = stablehlo.select %12, %9, %11 : tensor<i1>, tensor<i32> loc("select")
      stablehlo.return %13, %14 : tensor<f32>, tensor<i32>
    }) : (tensor<4x8xf32>, tensor<4x8xi32>, tensor<f32>, tensor<i32>) -> (tensor<4xf32>, tensor<4xi32>) loc("reduce")
    %15:2 = "stablehlo.sort"(%arg0, %6) <{dimension = 1 : i64, is_stable = true}> ({
    ^bb0(%16: tensor<f32>, %17: tensor<f32>, %18: tensor<i32>, %19: tensor<i32>):
      %20 = stablehlo.compare GT, %16, %17, TOTALORDER : (tensor<f32>, tensor<f32>) -> tensor<i1> loc("compare")
      stablehlo.return %20 : tensor<i1>
    }) : (tensor<4x8xf32>, tensor<4x8xi32>) -> (tensor<4x8xf32>, tensor<4x8xi32>) loc("sort")
    %21:2 = "stablehlo.while"(%arg1, %arg3) ({
    ^bb0(%22: tensor<i32>, %23: tensor<4xf32>):
      %24 = stablehlo.constant dense<10> : tensor<i32> loc("constant")
      %25 = stablehlo.compare LT, %22, %24, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1> loc("compare")
      stablehlo.return %25 : tensor<i1>
    }, {
    ^bb0(%26: tensor<i32>, %27: tensor<4xf32>):
      %28 = stablehlo.constant dense<1> : tensor<i32> loc("constant")
      %29 = stablehlo.add %26, %28 : tensor<i32> loc("add")
      %30 = stablehlo.add %27, %27 : tensor<4xf32> loc("loop/add")
      stablehlo.return %29, %30 : tensor<i32>, tensor<4xf32>
    }) : (tensor<i32>, tensor<4xf32>) -> (tensor<i32>, tensor<4xf32>) loc("loop/while")
    %31 = "stablehlo.if"(%arg2) ({
      stablehlo.return %21#1 : tensor<4xf32>
    }, {
      %32 = stablehlo.negate %21#1 : tensor<4xf32> loc("branch/negate")
      stablehlo.return %32 : tensor<4xf32>
    }) : (tensor<i1>) -> tensor<4xf32> loc("if")
    %33 = "stablehlo.case"(%arg1) ({
      stablehlo.return %31 : tensor<4xf32>
    }, {
      %34 = stablehlo.negate %31 : tensor<4xf32> loc("branch/negate")
      stablehlo.return %34 : tensor<4xf32>
    }, {
      %35 = stablehlo.constant dense<0.0> : tensor<4xf32> loc("constant")
      stablehlo.return %35 : tensor<4xf32>
    }) : (tensor<i32>) -> tensor<4xf32> loc("case")
    return %2, %7#0, %7#1, %15#0, %15#1, %21#1, %31, %33 : tensor<4xf32>, tensor<4xf32>, tensor<4xi32>, tensor<4x8xf32>, tensor<4x8xi32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  }
}
