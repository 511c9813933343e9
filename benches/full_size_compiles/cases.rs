//! What is compiled, and what is asked of it.

/// Programs that are compiled in turn, so that what differs between them is not the machine's load.
pub type Group = &'static [Case];

/// A program for a target.
pub struct Case {
    pub model: &'static str,
    pub target: &'static str,
    /// `model=4`; empty for one device.
    pub mesh: &'static str,
    pub phase: Phase,
    /// Sequences on all devices together.
    pub batch: usize,
    /// Positions of each.
    pub context: usize,
    pub bars: Bars,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Decode,
    /// The whole context in one step.
    Prefill,
}

/// The most that a program may have of something; `None` where nothing is asked.
#[derive(Clone, Copy)]
pub struct Bars {
    /// HBM traffic over that of reading weights and KV cache once.
    pub traffic: Option<f64>,
    /// Memory over weights and KV cache.
    pub memory: Option<f64>,
    /// Operations of matrix products over those that the model asks for.
    pub flops: Option<f64>,
    /// All-reduces, to be met exactly; other collectives there may be none then.
    pub all_reduces: Option<u64>,
    /// Processor time of the command and memory of the compiler, over those of the first program of the group.
    pub compiler: Option<f64>,
}

const NONE: Bars = Bars { traffic: None, memory: None, flops: None, all_reduces: None, compiler: None };
/// Read once, moved in place, no more: what a decode step is to be.
const DECODE: Bars = Bars { traffic: Some(1.05), memory: Some(1.02), ..NONE };
/// One behind the embedding, two a layer.
const DECODE_27B: Bars = Bars { all_reduces: Some(1 + 2 * 46), ..DECODE };
/// On v4 the compiler may take whole caches into on-chip memory, and write them back.
const DECODE_V4: Bars = Bars { traffic: None, ..DECODE };
const PREFILL: Bars = Bars { flops: Some(1.02), ..NONE };
const POD: Bars = Bars { compiler: Some(1.3), ..DECODE };

const fn decode(model: &'static str, target: &'static str, mesh: &'static str, batch: usize) -> Case {
    Case { model, target, mesh, phase: Phase::Decode, batch, context: 4096, bars: DECODE }
}

const fn prefill(model: &'static str, target: &'static str, mesh: &'static str) -> Case {
    Case { model, target, mesh, phase: Phase::Prefill, batch: 1, context: 4096, bars: PREFILL }
}

/// All of it.
pub const GROUPS: &[Group] = &[
    // The same rows on each four chips of a pod as on four chips alone.
    &[
        Case { bars: DECODE_27B, ..decode("gemma2-27b", "tpu:v5p:2x2x1", "model=4", 16) },
        Case { bars: POD, ..decode("gemma2-27b", "tpu:v5p:16x16x24", "data=1536,model=4", 16 * 1536) },
    ],
    &[prefill("gemma2-27b", "tpu:v5p:2x2x1", "model=4")],
    &[Case {
        bars: Bars { traffic: None, ..DECODE_27B },
        ..decode("gemma2-27b", "tpu:v4:2x2x1", "model=4", 16)
    }],
    &[prefill("gemma2-27b", "tpu:v4:2x2x1", "model=4")],
    &[Case { context: 8192, ..decode("gemma2-27b", "tpu:v5p:2x2x1", "model=4", 16) }],
    &[
        Case { bars: DECODE_V4, ..decode("gemma2-9b", "tpu:v4:2x2x1", "model=4", 16) },
        Case {
            bars: Bars { traffic: None, ..POD },
            ..decode("gemma2-9b", "tpu:v4:16x16x16", "data=1024,model=4", 16 * 1024)
        },
    ],
    &[decode("gemma2-9b", "tpu:v5p:1x1x1", "", 16)],
    &[decode("gemma2-9b", "tpu:v5e:2x2", "model=4", 16)],
    &[decode("gemma2-2b", "tpu:v5e:1x1", "", 16)],
    &[Case { bars: DECODE_V4, ..decode("gemma-2b", "tpu:v4:1x1x1", "", 16) }],
    &[Case { bars: DECODE_V4, ..decode("gemma-7b", "tpu:v4:1x1x1", "", 4) }],
    &[decode("gemma2-27b", "cuda:h100", "", 16)],
    &[decode("gemma2-27b", "cuda:a100-80gb", "", 16)],
    // One row, whose embedding is split: two all-reduces a layer and one behind the embedding, which stays where it is.
    &[Case {
        context: 1024,
        bars: Bars { all_reduces: Some(1 + 2 * 26), ..DECODE },
        ..decode("gemma2-2b", "cuda:h100:2", "model=2", 1)
    }],
];

impl Case {
    /// A name that says what it is and sorts as a folder.
    pub fn name(&self) -> String {
        let phase = match self.phase {
            Phase::Decode => "decode",
            Phase::Prefill => "prefill",
        };
        let name = format!("{}-{}-{phase}-{}x{}", self.model, self.target, self.batch, self.context);
        name.replace([':', ','], "-")
    }
}
