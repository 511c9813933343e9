module @control attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<4x8xf32>, %arg1: tensor<i32>, %arg2: tensor<i1>, %arg3: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xi32>, tensor<4x8xf32>, tensor<4x8xi32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %0 = stablehlo.constant dense<0xFF800000> : tensor<f32> loc("constant")
    %1 = stablehlo.constant dense<0> : tensor<i32> loc("constant")
    %2 = "stablehlo.reduce"(%arg0, %0) <{dimensions = array<i64: 1>}> ({
    ^bb0(%3: tensor<f32>, %4: tensor<f32>):
      %5 = stablehlo.compare GT, %3, %4, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1> loc("maximum")
      %6 = stablehlo.compare NE, %3, %3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1> loc("maximum")
      %7 = stablehlo.or %5, %6 : tensor<i1> loc("maximum")
      %8 = stablehlo.select %7, %3, %4 : tensor<i1>, tensor<f32> loc("maximum")
      stablehlo.return %8 : tensor<f32>
    }) : (tensor<4x8xf32>, tensor<f32>) -> tensor<4xf32> loc("logits.max/reduce")
    %9 = stablehlo.iota dim = 1 : tensor<4x8xi32> loc("iota")
    %10:2 = "stablehlo.reduce"(%arg0, %9, %0, %1) <{dimensions = array<i64: 1>}> ({
    ^bb0(%11: tensor<f32>, %12: tensor<i32>, %13: tensor<f32>, %14: tensor<i32>):
      %15 = stablehlo.compare GE, %11, %13, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1> loc("compare")
      %16 = stablehlo.select %15, %11, %13 : tensor<i1>, tensor<f32> loc("select")
      %17 = stablehlo.select %15, %12, %14 : tensor<i1>, tensor<i32> loc("select")
      stablehlo.return %16, %17 : tensor<f32>, tensor<i32>
    }) : (tensor<4x8xf32>, tensor<4x8xi32>, tensor<f32>, tensor<i32>) -> (tensor<4xf32>, tensor<4xi32>) loc("reduce")
    %18:2 = "stablehlo.sort"(%arg0, %9) <{dimension = 1 : i64, is_stable = true}> ({
    ^bb0(%19: tensor<f32>, %20: tensor<f32>, %21: tensor<i32>, %22: tensor<i32>):
      %23 = stablehlo.compare GT, %19, %20, TOTALORDER : (tensor<f32>, tensor<f32>) -> tensor<i1> loc("compare")
      stablehlo.return %23 : tensor<i1>
    }) : (tensor<4x8xf32>, tensor<4x8xi32>) -> (tensor<4x8xf32>, tensor<4x8xi32>) loc("sort")
    %24:2 = "stablehlo.while"(%arg1, %arg3) ({
    ^bb0(%25: tensor<i32>, %26: tensor<4xf32>):
      %27 = stablehlo.constant dense<10> : tensor<i32> loc("constant")
      %28 = stablehlo.compare LT, %25, %27, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1> loc("compare")
      stablehlo.return %28 : tensor<i1>
    }, {
    ^bb0(%29: tensor<i32>, %30: tensor<4xf32>):
      %31 = stablehlo.constant dense<1> : tensor<i32> loc("constant")
      %32 = stablehlo.add %29, %31 : tensor<i32> loc("add")
      %33 = stablehlo.add %30, %30 : tensor<4xf32> loc("loop/add")
      stablehlo.return %32, %33 : tensor<i32>, tensor<4xf32>
    }) : (tensor<i32>, tensor<4xf32>) -> (tensor<i32>, tensor<4xf32>) loc("loop/while")
    %34 = "stablehlo.if"(%arg2) ({
      stablehlo.return %24#1 : tensor<4xf32>
    }, {
      %35 = stablehlo.negate %24#1 : tensor<4xf32> loc("branch/negate")
      stablehlo.return %35 : tensor<4xf32>
    }) : (tensor<i1>) -> tensor<4xf32> loc("if")
    %36 = "stablehlo.case"(%arg1) ({
      stablehlo.return %34 : tensor<4xf32>
    }, {
      %37 = stablehlo.negate %34 : tensor<4xf32> loc("branch/negate")
      stablehlo.return %37 : tensor<4xf32>
    }, {
      %38 = stablehlo.constant dense<0.0> : tensor<4xf32> loc("constant")
      stablehlo.return %38 : tensor<4xf32>
    }) : (tensor<i32>) -> tensor<4xf32> loc("case")
    return %2, %10#0, %10#1, %18#0, %18#1, %24#1, %34, %36 : tensor<4xf32>, tensor<4xf32>, tensor<4xi32>, tensor<4x8xf32>, tensor<4x8xi32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  }
}
