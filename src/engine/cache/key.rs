//! What an executable is known by.

use std::fmt;

use sha2::{Digest, Sha256};

/// Counts up when an entry's form or the ingredients of a key change, so that no version reads another's entries.
const FORMAT_VERSION: u32 = 1;

/// The SHA-256 of all that decides what a compiler makes of a program.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; Key::BYTES]);

impl Key {
    pub(super) const BYTES: usize = 32;

    /// The key of a program, with compile options as the plugin gets them, on a platform.
    pub(super) fn of_program(platform: &Key, text: &str, options: &[u8]) -> Self {
        KeyHasher::default()
            .ingredient("format", FORMAT_VERSION.to_le_bytes())
            .ingredient("platform", platform.0)
            .ingredient("program", text)
            .ingredient("options", options)
            .finish()
    }

    pub(super) fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for Key {
    /// In hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes named ingredients. Each goes in with its length, so that no two lists of ingredients run together into
/// the same bytes.
#[derive(Default)]
pub(super) struct KeyHasher(Sha256);

impl KeyHasher {
    /// Adds an ingredient.
    pub(super) fn ingredient(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for bytes in [name.as_bytes(), value.as_ref()] {
            self.0.update((bytes.len() as u64).to_le_bytes());
            self.0.update(bytes);
        }
        self
    }

    /// The key of all ingredients, in their order.
    pub(super) fn finish(self) -> Key {
        Key(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_platform_program_and_options() {
        let platform = |name: &str| KeyHasher::default().ingredient("name", name).finish();
        let key = Key::of_program(&platform("cpu"), "program", b"options");
        assert_eq!(key, Key::of_program(&platform("cpu"), "program", b"options"));
        for other in [
            Key::of_program(&platform("tpu"), "program", b"options"),
            Key::of_program(&platform("cpu"), "Program", b"options"),
            Key::of_program(&platform("cpu"), "program", b"option"),
            Key::of_program(&platform("cpu"), "programo", b"ptions"),
        ] {
            assert_ne!(key, other);
        }
    }

    #[test]
    fn ingredients_do_not_run_together() {
        let of = |pairs: &[(&str, &str)]| {
            pairs.iter().fold(KeyHasher::default(), |key, (name, value)| key.ingredient(name, value)).finish()
        };
        let keys = [of(&[("a", "bc")]), of(&[("ab", "c")]), of(&[("a", "b"), ("", "c")]), of(&[("a", "b")])];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[index + 1..].contains(key), "{index}");
        }
    }

    #[test]
    fn a_key_is_shown_as_a_file_can_be_called() {
        let shown = KeyHasher::default().finish().to_string();
        assert_eq!(shown.len(), 64);
        assert!(shown.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()));
        assert!(shown.starts_with("e3b0c44298fc1c14"), "that of nothing: {shown}");
    }
}
