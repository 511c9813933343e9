//! Convolutions: `window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f`.

use super::attributes::Values;
use super::cursor::Cursor;
use crate::attributes::{Convolution, WindowDimension};
use crate::error::ReadError;

/// The convolution that the attributes describe; `None` without `dim_labels`.
pub(super) fn read(values: &Values<'_>) -> Result<Option<Convolution>, ReadError> {
    let Some(mut convolution) = values.read("dim_labels", labels)? else { return Ok(None) };
    convolution.window = values.read("window", window)?.unwrap_or_default();
    Ok(Some(convolution))
}

/// Roles of the dimensions: of the input `b`atch, `f`eature or a spatial number, of the kernel `i`nput feature,
/// `o`utput feature or a spatial number, of the output as of the input.
fn labels(cursor: &mut Cursor<'_>) -> Result<Convolution, ReadError> {
    let what = "dimension labels such as `b01f_01io->b01f`";
    let mut at = cursor.clone();
    // `_` is part of a word, the arrow is not.
    let (input, kernel) = cursor.word().split_once('_').ok_or_else(|| at.expected(what))?;
    cursor.expect("->", "and the labels of the output")?;
    let output = cursor.word();
    let position = |labels: &str, label: char| labels.chars().position(|other| other == label);
    let spatial = |labels: &str| {
        let rank = labels.chars().filter(char::is_ascii_digit).count();
        let numbers = (0..rank).map(|number| char::from_digit(number as u32, 10));
        numbers.map(|number| position(labels, number?)).collect::<Option<Vec<usize>>>()
    };
    let convolution = || {
        Some(Convolution {
            input_spatial: spatial(input)?,
            kernel_input_feature: position(kernel, 'i')?,
            kernel_spatial: spatial(kernel)?,
            output_spatial: spatial(output)?,
            window: Vec::new(),
        })
    };
    convolution().ok_or_else(|| at.expected(what))
}

/// `{size=3x3 stride=2x2 pad=1_1x0_0 lhs_dilate=1x1 rhs_dilate=1x1 rhs_reversal=1x1}`
fn window(cursor: &mut Cursor<'_>) -> Result<Vec<WindowDimension>, ReadError> {
    cursor.expect("{", "of a window")?;
    let mut window: Vec<WindowDimension> = Vec::new();
    while !cursor.eat("}") {
        let key = cursor.word();
        cursor.expect("=", "after the name of a window property")?;
        let mut at = cursor.clone();
        let text = cursor.word();
        let mut set = |apply: &dyn Fn(&mut WindowDimension, &str) -> Option<()>| {
            for (index, entry) in text.split('x').enumerate() {
                if window.len() <= index {
                    window.push(WindowDimension::plain());
                }
                window.get_mut(index).and_then(|dimension| apply(dimension, entry))?;
            }
            Some(())
        };
        let read = match key {
            "size" => set(&|dimension, text| text.parse().ok().map(|size| dimension.size = size)),
            "stride" => set(&|dimension, text| text.parse().ok().map(|stride| dimension.stride = stride)),
            "lhs_dilate" => set(&|dimension, text| text.parse().ok().map(|d| dimension.base_dilation = d)),
            "rhs_dilate" => set(&|dimension, text| text.parse().ok().map(|d| dimension.window_dilation = d)),
            "pad" => set(&|dimension, text| {
                // What is added at the end shows in the size of the output.
                let (low, _) = text.split_once('_')?;
                dimension.padding_low = low.parse().ok()?;
                Some(())
            }),
            // A reversed window visits the same places in another order.
            _ => Some(()),
        };
        read.ok_or_else(|| at.expected(format!("a number for each dimension for `{key}`")))?;
    }
    Ok(window)
}
