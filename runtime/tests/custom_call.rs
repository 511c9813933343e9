//! Custom calls: programs that call functions of this process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{compile, cpu_client, upload};
use lapidary_runtime::{Call, CallError, Client, CustomCall, ElementType, Error, Result};

/// `x * factor + offset`.
struct Scale;

impl CustomCall for Scale {
    const NAME: &'static str = "test.scale";

    fn call(call: &mut Call<'_>) -> std::result::Result<(), CallError> {
        let x = call.operand::<f32>(0)?;
        if x.dims != [2, 3] {
            return Err(CallError::new(format!("x is {:?}", x.dims)));
        }
        let factor = call.float("factor").ok_or_else(|| CallError::new("there is no factor"))?;
        let offset = call.integer("offset").ok_or_else(|| CallError::new("there is no offset"))?;
        for (result, x) in call.result::<f32>(0)?.iter_mut().zip(x.elements) {
            *result = x * factor as f32 + offset as f32;
        }
        Ok(())
    }
}

/// `x += 1` where `x` lies.
struct Increment;

impl CustomCall for Increment {
    const NAME: &'static str = "test.increment";

    fn call(call: &mut Call<'_>) -> std::result::Result<(), CallError> {
        assert!(call.operand::<f32>(0).is_err(), "it is about to change");
        let x = call.updated::<f32>(0, 0)?;
        assert_eq!(x.dims, [2, 3]);
        x.elements.iter_mut().for_each(|x| *x += 1.0);
        Ok(())
    }
}

/// Wants to change its operand.
struct Updates;

impl CustomCall for Updates {
    const NAME: &'static str = "test.updates";

    fn call(call: &mut Call<'_>) -> std::result::Result<(), CallError> {
        call.updated::<f32>(0, 0).map(|_| ())
    }
}

/// Panics.
struct Broken;

impl CustomCall for Broken {
    const NAME: &'static str = "test.broken";

    fn call(_: &mut Call<'_>) -> std::result::Result<(), CallError> {
        panic!("on purpose");
    }
}

fn program(target: &str, attributes: &str) -> String {
    format!(
        "module @m {{
  func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {{
    %y = stablehlo.add %x, %x : tensor<2x3xf32>
    %z = stablehlo.custom_call @{target}(%y) {{api_version = 4 : i32, backend_config = {{{attributes}}}}} : \
         (tensor<2x3xf32>) -> tensor<2x3xf32>
    return %z : tensor<2x3xf32>
  }}
}}"
    )
}

/// A client that knows both calls.
fn client() -> Option<Client> {
    let client = cpu_client()?;
    // Again in every test: the names are taken by the same functions.
    client.plugin().register_custom_call::<Scale>().unwrap();
    client.plugin().register_custom_call::<Increment>().unwrap();
    client.plugin().register_custom_call::<Updates>().unwrap();
    client.plugin().register_custom_call::<Broken>().unwrap();
    Some(client)
}

fn run(client: &Client, target: &str, attributes: &str) -> Result<Vec<f32>> {
    let executable = compile(client, &program(target, attributes));
    let x = upload(client, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], ElementType::F32, &[2, 3]);
    let results = executable.run(vec![(&x).into()])?;
    results[0].to_vec::<f32>()
}

#[test]
fn a_program_calls_a_function_with_operands_and_attributes() {
    let Some(client) = client() else { return };
    let found = run(&client, "test.scale", "factor = 0.5 : f64, offset = 10 : i64").unwrap();
    assert_eq!(found, [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]);
    let found = run(&client, "test.scale", "factor = 2.0 : f32, offset = -1 : i32").unwrap();
    assert_eq!(found, [3.0, 7.0, 11.0, 15.0, 19.0, 23.0]);
}

#[test]
fn what_a_function_says_is_the_error_of_the_execution() {
    let Some(client) = client() else { return };
    let error = run(&client, "test.scale", "factor = 0.5 : f64").unwrap_err();
    assert!(matches!(error, Error::Call { .. }), "{error:?}");
    assert!(error.to_string().contains("test.scale: there is no offset"), "{error}");
}

#[test]
fn a_panic_in_a_function_is_an_error_of_the_execution() {
    let Some(client) = client() else { return };
    let error = run(&client, "test.broken", "").unwrap_err();
    assert!(error.to_string().contains("test.broken: the kernel panicked"), "{error}");
    // And the client goes on.
    assert!(run(&client, "test.scale", "factor = 1.0 : f64, offset = 0 : i64").is_ok());
}

/// A program that increments a donated `x`, or an `x` that it adds to the result.
fn incrementing(in_place: &str, returned: &str) -> String {
    format!(
        "module @m {{
  func.func @main(%x: tensor<2x3xf32> {{tf.aliasing_output = 0 : i32}}) -> tensor<2x3xf32> {{
    %y = stablehlo.custom_call @test.increment(%x) {{api_version = 4 : i32, backend_config = {{}}{in_place}}} : \
         (tensor<2x3xf32>) -> tensor<2x3xf32>
    %z = stablehlo.add %x, %y : tensor<2x3xf32>
    return %{returned} : tensor<2x3xf32>
  }}
}}"
    )
}

#[test]
fn an_operand_may_become_the_result() {
    let Some(client) = client() else { return };
    let in_place = ", output_operand_aliases = [#stablehlo.output_operand_alias<output_tuple_indices = [], \
                    operand_index = 0, operand_tuple_indices = []>]";
    let run = |in_place, returned| {
        let executable = compile(&client, &incrementing(in_place, returned));
        let x = upload(&client, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], ElementType::F32, &[2, 3]);
        executable.run(vec![x.into()])?[0].to_vec::<f32>()
    };
    assert_eq!(run(in_place, "y").unwrap(), [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    // Somebody else still wants the operand: it is the call that gets a copy.
    assert_eq!(run(in_place, "z").unwrap(), [3.0, 5.0, 7.0, 9.0, 11.0, 13.0]);
}

#[test]
fn an_operand_that_stays_is_not_to_be_changed() {
    let Some(client) = client() else { return };
    let executable = compile(&client, &program("test.updates", ""));
    let x = upload(&client, &[0.0f32; 6], ElementType::F32, &[2, 3]);
    let error = executable.run(vec![(&x).into()]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("operand 0 does not become result 0"), "{error}");
}
