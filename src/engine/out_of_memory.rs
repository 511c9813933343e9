//! Devices that run out of memory: what was asked for, and what was free.

use std::error::Error;
use std::fmt;

use indicatif::BinaryBytes;
use lapidary_runtime::MemoryStats;

use super::{CacheGrowth, EngineError, Placement};

/// That a device had no memory for something.
#[derive(Clone, PartialEq, Debug)]
pub struct OutOfMemory {
    /// What it was for.
    pub purpose: Purpose,
    /// Bytes that were asked for at once, where the plugin says.
    pub asked: Option<u64>,
    /// The fullest device, where the plugin counts its memory.
    pub device: Option<DeviceMemory>,
    /// The plugin's own words.
    pub message: String,
}

/// What memory was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A tensor of the checkpoint.
    Weight(String),
    /// The KV cache of so many rows of so many positions.
    Cache {
        /// Rows.
        rows: usize,
        /// Positions of each.
        positions: usize,
    },
    /// A program of so many rows and positions: its temporaries, its results, or its code.
    Program {
        /// Its identifier.
        name: String,
        /// Rows.
        rows: usize,
        /// Positions of each.
        positions: usize,
    },
    /// Something else.
    Other,
}

/// The memory of a device, in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceMemory {
    /// The device, as the vendor names it.
    pub kind: String,
    /// Its global id.
    pub id: i32,
    /// In use.
    pub in_use: u64,
    /// The most that may be in use, where the plugin says.
    pub limit: Option<u64>,
}

impl OutOfMemory {
    /// What an error says of the memory of `placement`'s devices, if it is about it. They are asked now, when what failed
    /// may have given back some already.
    pub fn of(error: &EngineError, placement: &Placement) -> Option<Self> {
        let message = exhausted(error)?;
        let memories = placement.addressable_devices().filter_map(|device| {
            let stats = device.memory_stats().ok().flatten()?;
            Some(DeviceMemory::new(device.description().kind.clone(), device.id(), stats))
        });
        Some(Self::new(error, message, memories.min_by_key(|memory| memory.free().unwrap_or(u64::MAX))))
    }

    fn new(error: &EngineError, message: String, device: Option<DeviceMemory>) -> Self {
        Self { purpose: Purpose::of(error), asked: asked_bytes(&message), device, message }
    }

    /// Rows, and positions of each, that what failed was for; `None` where it is for any number.
    pub fn sizes(&self) -> Option<(usize, usize)> {
        match self.purpose {
            Purpose::Cache { rows, positions } | Purpose::Program { rows, positions, .. } => {
                Some((rows, positions))
            }
            Purpose::Weight(_) | Purpose::Other => None,
        }
    }
}

impl Purpose {
    fn of(error: &EngineError) -> Self {
        match error {
            EngineError::LoadTensor { tensor, .. } | EngineError::RandomWeight { tensor, .. } => {
                Self::Weight(tensor.clone())
            }
            EngineError::Cache { rows, positions, .. } => Self::Cache { rows: *rows, positions: *positions },
            EngineError::GrowthProgram { program: CacheGrowth { batch, to, .. }, .. } => {
                Self::Cache { rows: *batch, positions: *to }
            }
            EngineError::Compile { program, .. } | EngineError::Execute { program, .. } => {
                Self::Program { name: program.to_string(), rows: program.batch, positions: program.capacity }
            }
            _ => Self::Other,
        }
    }
}

impl DeviceMemory {
    fn new(kind: String, id: i32, stats: MemoryStats) -> Self {
        let bytes = |count: i64| u64::try_from(count).unwrap_or(0);
        Self { kind, id, in_use: bytes(stats.bytes_in_use), limit: stats.bytes_limit.map(bytes) }
    }

    /// What is not in use of what may be.
    pub fn free(&self) -> Option<u64> {
        Some(self.limit?.saturating_sub(self.in_use))
    }
}

/// The plugin's message, if it ran out of memory. Other resources, such as open files, are left to their own errors.
fn exhausted(error: &EngineError) -> Option<String> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        // A source in a box is given out as the box.
        let boxed = error.downcast_ref::<Box<lapidary_runtime::Error>>().map(|error| &**error);
        if let Some(mut found) = boxed.or_else(|| error.downcast_ref::<lapidary_runtime::Error>())
            && found.is_resource_exhausted()
        {
            // The plugin's words are those of the execution that failed.
            while let lapidary_runtime::Error::EarlierExecution { source, .. } = found {
                found = source;
            }
            let message = found.to_string();
            return is_about_memory(&message).then_some(message);
        }
        cause = error.source();
    }
    None
}

fn is_about_memory(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["memory", "allocat", "hbm"].iter().any(|word| message.contains(word))
}

/// The bytes that a plugin could not allocate: the first size in its message, exact where it stands in parentheses, as
/// in `Failed to allocate request for 2.0KiB (2048B)`.
fn asked_bytes(message: &str) -> Option<u64> {
    let after = message.to_ascii_lowercase().find("allocat")?;
    let words: Vec<&str> = message.get(after..)?.split_whitespace().collect();
    let exact = words.iter().find_map(|word| {
        let inner = word.strip_prefix('(')?.trim_end_matches(['.', ',', ';', ')']);
        size(inner, "")
    });
    exact.or_else(|| {
        let next = words.iter().skip(1).chain([&""]);
        words.iter().zip(next).find_map(|(word, next)| size(word, next))
    })
}

/// The bytes that a number and its unit stand for, the unit being its end or the word after it.
fn size(word: &str, next: &str) -> Option<u64> {
    let word = word.trim_end_matches(['.', ',', ';', ':']);
    let digits = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let (number, unit) = word.split_at(digits);
    let unit = if unit.is_empty() { next.trim_end_matches(['.', ',', ';', ':']) } else { unit };
    let shift = match unit {
        "B" | "b" | "bytes" | "byte" => 0,
        "KiB" | "K" => 10,
        "MiB" | "M" => 20,
        "GiB" | "G" => 30,
        "TiB" | "T" => 40,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * (1u64 << shift) as f64;
    // As a cast does: what is beyond u64 is the most that there is.
    bytes.is_finite().then_some(bytes as u64)
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the device ran out of memory ")?;
        match &self.purpose {
            Purpose::Weight(tensor) => write!(f, "for the weight `{tensor}`")?,
            Purpose::Cache { rows, positions } => {
                write!(f, "for the KV cache of {rows} rows of {positions} positions")?;
            }
            Purpose::Program { name, .. } => write!(f, "for program {name}")?,
            Purpose::Other => f.write_str("for the model")?,
        }
        match self.asked {
            Some(bytes) => write!(f, ": it was asked for {}", BinaryBytes(bytes))?,
            None => f.write_str(": it was asked for more")?,
        }
        let Some(device) = &self.device else {
            return f.write_str(" than it has left, which the plugin does not count");
        };
        match (device.free(), device.limit) {
            (Some(free), Some(limit)) => write!(
                f,
                " when {} (device {}) had {} free of the {} that it may take",
                device.kind,
                device.id,
                BinaryBytes(free),
                BinaryBytes(limit)
            ),
            _ => write!(
                f,
                " when {} (device {}) had {} in use",
                device.kind,
                device.id,
                BinaryBytes(device.in_use)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use lapidary_graph::DType;
    use lapidary_models::program::{KvCache, Phase, ProgramShape};
    use lapidary_runtime::{Error as RuntimeError, ErrorCode};

    use super::*;

    fn call(code: ErrorCode, message: &str) -> Box<RuntimeError> {
        Box::new(RuntimeError::Call { function: "PJRT_Event_Await", code, message: message.to_string() })
    }

    #[test]
    fn sizes_are_read_in_the_words_of_the_allocators() {
        for (message, bytes) in [
            ("Out of memory while trying to allocate 1073741824 bytes.", 1 << 30),
            ("Out of memory while trying to allocate 2.50GiB.", 5 << 29),
            ("Failed to allocate request for 2.0KiB (2049B) on device ordinal 0", 2049),
            ("Out of memory allocating 35184372088832 bytes.", 1 << 45),
            (
                "Error allocating device buffer: Attempting to allocate 16.00M. That was not possible.",
                1 << 24,
            ),
        ] {
            assert_eq!(asked_bytes(message), Some(bytes), "{message}");
        }
        for message in ["CUDA_ERROR_OUT_OF_MEMORY: out of memory", "", "allocate", "allocating x bytes"] {
            assert_eq!(asked_bytes(message), None, "{message}");
        }
    }

    #[test]
    fn a_failed_step_says_what_was_asked_and_what_was_free() {
        let program = ProgramShape {
            phase: Phase::Decode,
            batch: 8,
            tokens: 1,
            capacity: 4096,
            dtype: DType::BF16,
            kv_cache: KvCache::Dense,
        };
        let message = "Out of memory while trying to allocate 1073741824 bytes.";
        let error = EngineError::Execute { program, source: call(ErrorCode::ResourceExhausted, message) };
        let found = exhausted(&error).unwrap();
        let device =
            DeviceMemory { kind: "NVIDIA L4".to_string(), id: 0, in_use: 21 << 30, limit: Some(43 << 29) };
        let shortage = OutOfMemory::new(&error, found, Some(device));
        assert_eq!(shortage.sizes(), Some((8, 4096)));
        assert_eq!(
            shortage.to_string(),
            "the device ran out of memory for program decode_b8_t1_c4096_bf16: it was asked for 1.00 GiB when NVIDIA \
             L4 (device 0) had 512.00 MiB free of the 21.50 GiB that it may take"
        );
        let uncounted = OutOfMemory { device: None, asked: None, ..shortage };
        assert!(
            uncounted
                .to_string()
                .ends_with("asked for more than it has left, which the plugin does not count")
        );
    }

    #[test]
    fn causes_are_found_however_deep_and_other_failures_are_left_alone() {
        let exhausting = |message| call(ErrorCode::ResourceExhausted, message);
        let tensor = "model.norm.weight".to_string();
        let load = |source| EngineError::LoadTensor { tensor: tensor.clone(), source };
        assert!(exhausted(&load(exhausting("Out of memory allocating 5 bytes."))).is_some());
        let earlier = RuntimeError::EarlierExecution {
            executable: "decode".to_string(),
            source: exhausting("Failed to allocate request"),
        };
        assert!(exhausted(&load(Box::new(earlier))).is_some());
        let growth = CacheGrowth { batch: 2, from: 128, to: 256, dtype: DType::BF16, scales: false };
        let grown = EngineError::GrowthProgram { program: growth, source: exhausting("Out of memory") };
        assert!(exhausted(&grown).is_some());
        assert_eq!(Purpose::of(&grown), Purpose::Cache { rows: 2, positions: 256 });
        assert!(exhausted(&load(exhausting("too many open files"))).is_none());
        assert!(exhausted(&load(call(ErrorCode::Internal, "Out of memory"))).is_none());
        assert!(exhausted(&EngineError::StateLost).is_none());
    }
}
