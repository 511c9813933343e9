use crate::text::parse_shape;

fn bytes(text: &str) -> u64 {
    parse_shape(text).unwrap().bytes()
}

#[test]
fn bytes_without_tiles() {
    assert_eq!(bytes("f32[4,3]{1,0}"), 48);
    assert_eq!(bytes("bf16[4,3]"), 24);
    assert_eq!(bytes("pred[5]{0}"), 5);
    assert_eq!(bytes("f32[]"), 4);
    assert_eq!(bytes("token[]"), 0);
    assert_eq!(bytes("(f32[2], (s8[3], u64[]))"), 8 + 3 + 8);
    assert_eq!(bytes("s4[7]{0:E(4)}"), 4);
    assert_eq!(bytes("s4[7]{0:E(8)}"), 7);
    assert_eq!(bytes("bf16[0,1000000000000,1000000000000]{2,1,0}"), 0);
}

#[test]
fn tiles_pad() {
    assert_eq!(bytes("bf16[10,100]{1,0:T(8,128)(2,1)}"), 16 * 128 * 2);
    // The minor dimension is the first one.
    assert_eq!(bytes("bf16[100,10]{0,1:T(8,128)(2,1)}"), 16 * 128 * 2);
    assert_eq!(bytes("f32[4]{0:T(128)}"), 128 * 4);
    assert_eq!(bytes("f32[]{:T(128)}"), 128 * 4);
    assert_eq!(bytes("pred[4]{0:T(512)(128)(4,1)}"), 512);
    assert_eq!(bytes("bf16[3,10,100]{2,1,0:T(8,128)}"), 3 * 16 * 128 * 2);
    assert_eq!(bytes("f32[10]{0:L(16)}"), 16 * 4);
}

#[test]
fn combined_dimensions_are_tiled_as_one() {
    assert_eq!(bytes("s8[3,5]{1,0:T(*,4)}"), 16);
}

#[test]
fn impossible_shapes_are_refused() {
    let message = |text: &str| parse_shape(text).unwrap_err().to_string();
    assert!(message("f32[9000000000000,9000000000000]{1,0}").contains("larger than any memory"));
    assert!(message("f32[4,4]{0}").contains("does not fit"));
    assert!(message("f32[4,4]{1,1}").contains("does not fit"));
    assert!(message("f32[4]{0:T(0)}").contains("does not fit"));
}
