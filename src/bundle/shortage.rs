//! Programs that need more memory than a device has.

use std::fmt;

use indicatif::BinaryBytes;

use super::error::Reported;

/// That a program needs more memory than a device has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortage {
    needed: Option<String>,
    available: Option<String>,
}

impl Shortage {
    /// The shortage of a program that needs so many bytes of those that a device has; `None` if they are enough.
    pub(super) fn of(needed: u64, available: u64) -> Option<Self> {
        let told = |bytes: u64| Some(BinaryBytes(bytes).to_string());
        (needed > available).then(|| Self { needed: told(needed), available: told(available) })
    }

    /// The shortage that a compiler refuses a program for; `None` if it refuses it for another reason.
    pub(super) fn told_by(reason: &Reported) -> Option<Self> {
        let message = reason.messages().find(|message| {
            let names_it = ["CompileTimeHbmOom", "Out of memory", "out of memory", "Ran out of memory"];
            message.contains("RESOURCE_EXHAUSTED") && names_it.iter().any(|name| message.contains(name))
        })?;
        Some(Self { needed: size_before(message, " exceeds "), available: size_after(message, " exceeds ") })
    }
}

/// The size in parentheses that ends before `words`, as `49.64G` in `temporaries (49.64G) exceeds`.
fn size_before(message: &str, words: &str) -> Option<String> {
    let (before, _) = message.split_once(words)?;
    size(before.rsplit_once('(')?.1.strip_suffix(')')?)
}

/// The first size in parentheses after `words`.
fn size_after(message: &str, words: &str) -> Option<String> {
    let (_, after) = message.split_once(words)?;
    size(after.split_once('(')?.1.split_once(')')?.0)
}

/// `49.64 GiB` for XLA's `49.64G`, which is binary.
fn size(text: &str) -> Option<String> {
    let unit = text.chars().last().filter(|unit| "KMGT".contains(*unit))?;
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(format!("{number:.2} {unit}iB"))
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.needed, &self.available) {
            (Some(needed), Some(available)) => {
                write!(f, "it needs {needed} of a device's memory, which has {available}")
            }
            _ => f.write_str("it needs more memory than a device has"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> Option<String> {
        let reason = Reported::of(&std::io::Error::other(message.to_string()));
        Shortage::told_by(&reason).map(|shortage| shortage.to_string())
    }

    #[test]
    fn compilers_say_what_is_missing() {
        // In the words of libtpu 0.0.52.
        let tpu = "PJRT_Compile failed with RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the \
                   total memory required for HLO temporaries (49.64G) exceeds available HBM (15.75G). HLO module: step.";
        assert_eq!(
            told(tpu).as_deref(),
            Some("it needs 49.64 GiB of a device's memory, which has 15.75 GiB")
        );
        let other = "PJRT_Compile failed with RESOURCE_EXHAUSTED: Out of memory while trying to allocate";
        assert_eq!(told(other).as_deref(), Some("it needs more memory than a device has"));
        assert_eq!(told("RESOURCE_EXHAUSTED: too many open files"), None);
        assert_eq!(told("INTERNAL: Out of memory"), None);
    }

    #[test]
    fn a_program_as_large_as_the_memory_fits() {
        assert_eq!(Shortage::of(1 << 30, 1 << 30), None);
        let shortage = Shortage::of(3 << 30, 2 << 30).unwrap().to_string();
        assert_eq!(shortage, "it needs 3.00 GiB of a device's memory, which has 2.00 GiB");
    }
}
