//! Flags of XLA's compiler that a command passes on.

use std::str::FromStr;

/// A flag and its value, as XLA_FLAGS would have them, for the programs of one command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct XlaFlag {
    /// Its name, without dashes.
    pub name: String,
    /// Its value in words; compilers read it in the flag's own type.
    pub value: String,
}

impl FromStr for XlaFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once('=').ok_or("give NAME=VALUE, such as xla_gpu_autotune_level=0")?;
        let name = name.strip_prefix("--").unwrap_or(name);
        let is_name =
            name.starts_with("xla_") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            return Err(format!("`{name}` is not the name of a flag of XLA, which begins with xla_"));
        }
        // The compiler would write where it stands, and executables from the cache would leave no dump.
        if name.starts_with("xla_dump") {
            return Err(
                "dumps are asked for with the variable XLA_FLAGS, which goes around the cache".to_owned()
            );
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// Flags by name, the last of several of one name winning.
pub fn by_name(flags: &[XlaFlag]) -> impl Iterator<Item = (String, String)> {
    flags.iter().map(|flag| (flag.name.clone(), flag.value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_in_the_variable() {
        let flag = XlaFlag { name: "xla_gpu_autotune_level".to_owned(), value: "0".to_owned() };
        assert_eq!("xla_gpu_autotune_level=0".parse(), Ok(flag.clone()));
        assert_eq!("--xla_gpu_autotune_level=0".parse(), Ok(flag));
        let values = "xla_gpu_enable_command_buffer=FUSION,WHILE".parse::<XlaFlag>().unwrap().value;
        assert_eq!(values, "FUSION,WHILE");
        for text in ["xla_gpu_autotune_level", "autotune_level=0", "=1", "xla_dump_to=here", "xla_a b=1", ""]
        {
            assert!(text.parse::<XlaFlag>().is_err(), "{text}");
        }
    }
}
