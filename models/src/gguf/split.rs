//! Models in several files: `NAME-00001-of-00003.gguf` and so on. The first has the metadata.

use std::path::{Path, PathBuf};

use super::error::GgufError;
use super::metadata::Metadata;

/// What a file says of the parts of its model.
pub(super) struct Split {
    /// This part's number, from 0.
    pub(super) index: u64,
    /// Parts in all.
    pub(super) count: u64,
}

impl Split {
    const INDEX: &str = "split.no";
    const COUNT: &str = "split.count";

    /// `None` for a model in one file.
    pub(super) fn of(metadata: &Metadata) -> Result<Option<Self>, GgufError> {
        let count = metadata.unsigned(Self::COUNT)?.unwrap_or(1);
        let index = metadata.unsigned(Self::INDEX)?.unwrap_or(0);
        // More parts than a file's name has digits for.
        if count > 99_999 {
            return Err(wrong(Self::COUNT, count, "up to 99999".to_owned()));
        }
        if index >= count.max(1) {
            return Err(wrong(Self::INDEX, index, format!("less than {}, {count}", Self::COUNT)));
        }
        Ok((count > 1).then_some(Self { index, count }))
    }

    /// Checks what another file says against the part that it should be.
    pub(super) fn expect(metadata: &Metadata, index: u64, count: u64) -> Result<(), GgufError> {
        let found = Self::of(metadata)?.unwrap_or(Self { index: 0, count: 1 });
        if found.count != count {
            return Err(wrong(Self::COUNT, found.count, format!("{count}, as in the other parts")));
        }
        if found.index != index {
            return Err(wrong(Self::INDEX, found.index, format!("{index}, by the file's name")));
        }
        Ok(())
    }

    /// Where all parts are, in their order, if this one is at `path`.
    pub(super) fn paths(&self, path: &Path) -> Result<Vec<PathBuf>, GgufError> {
        let suffix = |index: u64| format!("-{:05}-of-{:05}.gguf", index + 1, self.count);
        let name = path.file_name().and_then(|name| name.to_str());
        let prefix = name
            .and_then(|name| name.strip_suffix(&suffix(self.index)))
            .ok_or(GgufError::PartName { count: self.count })?;
        Ok((0..self.count).map(|index| path.with_file_name(format!("{prefix}{}", suffix(index)))).collect())
    }
}

fn wrong(key: &str, found: u64, expected: String) -> GgufError {
    GgufError::Value { key: key.to_owned(), expected, found: found.to_string() }
}
