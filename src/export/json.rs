//! JSON that a person can read: what fits on a line has one, and so has each parameter.

use serde::Serialize;
use serde_json::Value;

/// Longest line that a list or object is put on.
const WIDTH: usize = 110;

/// Depth of a parameter: within `programs`, one of them, and its parameters. Nothing is split below it.
const DEPTH_OF_PARAMETERS: usize = 4;

/// A value as JSON, ending in a line break.
pub(crate) fn to_readable_json(value: &impl Serialize) -> serde_json::Result<String> {
    let mut text = String::new();
    write(&mut text, &serde_json::to_value(value)?, 0);
    text.push('\n');
    Ok(text)
}

fn write(text: &mut String, value: &Value, depth: usize) {
    let compact = value.to_string();
    if depth >= DEPTH_OF_PARAMETERS || compact.len() <= WIDTH {
        text.push_str(&compact);
        return;
    }
    match value {
        Value::Array(items) => {
            let items = items.iter().map(|item| (String::new(), item));
            write_lines(text, ('[', ']'), items, depth);
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| (format!("{}: ", Value::from(name.as_str())), value));
            write_lines(text, ('{', '}'), fields, depth);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&compact),
    }
}

fn write_lines<'v>(
    text: &mut String,
    (open, close): (char, char),
    items: impl Iterator<Item = (String, &'v Value)>,
    depth: usize,
) {
    let indentation = "  ".repeat(depth + 1);
    text.push(open);
    for (i, (name, item)) in items.enumerate() {
        text.push_str(if i == 0 { "\n" } else { ",\n" });
        text.push_str(&indentation);
        text.push_str(&name);
        write(text, item, depth + 1);
    }
    text.push('\n');
    text.push_str("  ".repeat(depth).as_str());
    text.push(close);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::to_readable_json;

    #[test]
    fn a_parameter_has_one_line_however_long() {
        let parameter = json!({"name": "w".repeat(120), "shape": [1, 2]});
        let value =
            json!({"mesh": [{"name": "model"}], "programs": [{"parameters": [parameter, parameter]}]});
        let text = to_readable_json(&value).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        let lines: Vec<String> = text.lines().map(|line| line.replace(&"w".repeat(120), "w")).collect();
        assert_eq!(
            lines,
            [
                "{",
                "  \"mesh\": [{\"name\":\"model\"}],",
                "  \"programs\": [",
                "    {",
                "      \"parameters\": [",
                "        {\"name\":\"w\",\"shape\":[1,2]},",
                "        {\"name\":\"w\",\"shape\":[1,2]}",
                "      ]",
                "    }",
                "  ]",
                "}",
            ]
        );
    }
}
