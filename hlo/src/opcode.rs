//! What an instruction does, as far as costs depend on it.

use std::fmt;

use serde::{Serialize, Serializer};

/// A collective operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are XLA's")]
pub enum CollectiveKind {
    AllGather,
    AllReduce,
    AllToAll,
    CollectiveBroadcast,
    CollectivePermute,
    RaggedAllToAll,
    ReduceScatter,
}

/// An HLO opcode. What costs alike is one variant with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are XLA's")]
pub enum Opcode {
    AddDependency,
    AfterAll,
    /// Starts the operation in [`Instruction::wrapped`](crate::Instruction::wrapped).
    AsyncStart,
    AsyncUpdate,
    AsyncDone,
    Bitcast,
    Broadcast,
    Call,
    Collective(CollectiveKind),
    CollectiveStart(CollectiveKind),
    CollectiveDone(CollectiveKind),
    Conditional,
    Constant,
    Convolution,
    Copy,
    CopyStart,
    CopyDone,
    CustomCall,
    Domain,
    Dot,
    DynamicSlice,
    DynamicUpdateSlice,
    /// An arithmetic operation, a comparison or a conversion: every element of the result depends on the
    /// elements at the same place in the operands, if these are not scalars.
    Elementwise(&'static str),
    Fusion,
    Gather,
    GetTupleElement,
    Iota,
    OptimizationBarrier,
    Parameter,
    PartitionId,
    Recv,
    RecvDone,
    Reduce,
    ReduceWindow,
    ReplicaId,
    Reshape,
    Scatter,
    Send,
    SendDone,
    Slice,
    Transpose,
    Tuple,
    While,
    /// An operation without a rule of its own: it reads its operands and writes its result.
    Other(String),
}

const COLLECTIVES: [(&str, CollectiveKind); 7] = [
    ("all-gather", CollectiveKind::AllGather),
    ("all-reduce", CollectiveKind::AllReduce),
    ("all-to-all", CollectiveKind::AllToAll),
    ("collective-broadcast", CollectiveKind::CollectiveBroadcast),
    ("collective-permute", CollectiveKind::CollectivePermute),
    ("ragged-all-to-all", CollectiveKind::RaggedAllToAll),
    ("reduce-scatter", CollectiveKind::ReduceScatter),
];

const PLAIN: [(&str, Opcode); 38] = [
    ("add-dependency", Opcode::AddDependency),
    ("after-all", Opcode::AfterAll),
    ("async-start", Opcode::AsyncStart),
    ("async-update", Opcode::AsyncUpdate),
    ("async-done", Opcode::AsyncDone),
    ("bitcast", Opcode::Bitcast),
    ("broadcast", Opcode::Broadcast),
    ("call", Opcode::Call),
    ("conditional", Opcode::Conditional),
    ("constant", Opcode::Constant),
    ("convolution", Opcode::Convolution),
    ("copy", Opcode::Copy),
    ("copy-start", Opcode::CopyStart),
    ("copy-done", Opcode::CopyDone),
    ("custom-call", Opcode::CustomCall),
    ("domain", Opcode::Domain),
    ("dot", Opcode::Dot),
    ("dynamic-slice", Opcode::DynamicSlice),
    ("dynamic-update-slice", Opcode::DynamicUpdateSlice),
    ("fusion", Opcode::Fusion),
    ("gather", Opcode::Gather),
    ("get-tuple-element", Opcode::GetTupleElement),
    ("iota", Opcode::Iota),
    ("opt-barrier", Opcode::OptimizationBarrier),
    ("parameter", Opcode::Parameter),
    ("partition-id", Opcode::PartitionId),
    ("recv", Opcode::Recv),
    ("recv-done", Opcode::RecvDone),
    ("reduce", Opcode::Reduce),
    ("reduce-window", Opcode::ReduceWindow),
    ("replica-id", Opcode::ReplicaId),
    ("reshape", Opcode::Reshape),
    ("scatter", Opcode::Scatter),
    ("send", Opcode::Send),
    ("send-done", Opcode::SendDone),
    ("slice", Opcode::Slice),
    ("transpose", Opcode::Transpose),
    ("tuple", Opcode::Tuple),
];

const ELEMENTWISE: [&str; 58] = [
    "abs",
    "acos",
    "acosh",
    "add",
    "and",
    "asin",
    "asinh",
    "atan2",
    "atanh",
    "bitcast-convert",
    "cbrt",
    "ceil",
    "clamp",
    "compare",
    "complex",
    "convert",
    "cosh",
    "cosine",
    "count-leading-zeros",
    "divide",
    "erf",
    "exponential",
    "exponential-minus-one",
    "floor",
    "imag",
    "is-finite",
    "log",
    "log-plus-one",
    "logistic",
    "map",
    "maximum",
    "minimum",
    "multiply",
    "negate",
    "not",
    "or",
    "popcnt",
    "power",
    "real",
    "reduce-precision",
    "remainder",
    "round-nearest-afz",
    "round-nearest-even",
    "rsqrt",
    "select",
    "shift-left",
    "shift-right-arithmetic",
    "shift-right-logical",
    "sign",
    "sine",
    "sinh",
    "sqrt",
    "square",
    "stochastic-convert",
    "subtract",
    "tan",
    "tanh",
    "xor",
];

impl Opcode {
    /// The opcode called `name`, and the operation that it wraps if `name` is an asynchronous form such as
    /// `slice-start`.
    pub(crate) fn from_name(name: &str) -> (Self, Option<Self>) {
        if let Some(opcode) = Self::known(name) {
            return (opcode, None);
        }
        if let Some(wrapped) = name.strip_suffix("-start") {
            let (wrapped, _) = Self::from_name(wrapped);
            return match wrapped {
                Self::Collective(kind) => (Self::CollectiveStart(kind), None),
                wrapped => (Self::AsyncStart, Some(wrapped)),
            };
        }
        if let Some(wrapped) = name.strip_suffix("-done") {
            return match Self::known(wrapped) {
                Some(Self::Collective(kind)) => (Self::CollectiveDone(kind), None),
                _ => (Self::AsyncDone, None),
            };
        }
        match name.ends_with("-update") {
            true => (Self::AsyncUpdate, None),
            false => (Self::Other(name.to_string()), None),
        }
    }

    fn known(name: &str) -> Option<Self> {
        let plain = || PLAIN.iter().find(|(known, _)| *known == name).map(|(_, opcode)| opcode.clone());
        let elementwise =
            || ELEMENTWISE.iter().find(|known| **known == name).map(|known| Self::Elementwise(known));
        let collective =
            || COLLECTIVES.iter().find(|(known, _)| *known == name).map(|(_, kind)| Self::Collective(*kind));
        // `while` is a word of Rust, and the only one that would need another spelling in the table.
        plain().or_else(elementwise).or_else(collective).or_else(|| (name == "while").then_some(Self::While))
    }

    /// Whether it moves or computes nothing when it runs: it names, groups or waits.
    pub(crate) fn is_free(&self) -> bool {
        matches!(
            self,
            Self::AddDependency
                | Self::AfterAll
                | Self::AsyncUpdate
                | Self::AsyncDone
                | Self::Bitcast
                | Self::CollectiveDone(_)
                | Self::Constant
                | Self::CopyDone
                | Self::Domain
                | Self::GetTupleElement
                | Self::OptimizationBarrier
                | Self::Parameter
                | Self::PartitionId
                | Self::RecvDone
                | Self::ReplicaId
                | Self::SendDone
                | Self::Tuple
        )
    }

    /// Whether it starts something that goes on while other instructions run.
    pub(crate) fn is_start(&self) -> bool {
        matches!(
            self,
            Self::AsyncStart | Self::CollectiveStart(_) | Self::CopyStart | Self::Recv | Self::Send
        )
    }

    /// Whether the result is the first operand in the same memory.
    pub(crate) fn is_view(&self) -> bool {
        matches!(self, Self::Bitcast | Self::AddDependency | Self::Domain | Self::OptimizationBarrier)
    }
}

impl CollectiveKind {
    /// Name in HLO text.
    pub fn name(self) -> &'static str {
        COLLECTIVES.iter().find(|(_, kind)| *kind == self).map_or("collective", |(name, _)| name)
    }
}

impl fmt::Display for CollectiveKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name in HLO text.
impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::While => f.write_str("while"),
            Self::Elementwise(name) => f.write_str(name),
            Self::Other(name) => f.write_str(name),
            Self::Collective(kind) => write!(f, "{kind}"),
            Self::CollectiveStart(kind) => write!(f, "{kind}-start"),
            Self::CollectiveDone(kind) => write!(f, "{kind}-done"),
            plain => {
                let named = PLAIN.iter().find(|(_, opcode)| opcode == plain);
                f.write_str(named.map_or("unknown", |(name, _)| name))
            }
        }
    }
}

impl Serialize for Opcode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let plain = PLAIN.iter().map(|(name, _)| *name);
        let collectives = COLLECTIVES.iter().map(|(name, _)| *name);
        for name in plain.chain(ELEMENTWISE).chain(collectives).chain(["while", "sort", "all-reduce-start"]) {
            assert_eq!(Opcode::from_name(name).0.to_string(), name);
        }
    }

    #[test]
    fn asynchronous_forms_wrap_their_operation() {
        assert_eq!(Opcode::from_name("slice-start"), (Opcode::AsyncStart, Some(Opcode::Slice)));
        assert_eq!(Opcode::from_name("slice-done"), (Opcode::AsyncDone, None));
        assert_eq!(Opcode::from_name("custom-call-update"), (Opcode::AsyncUpdate, None));
        let scatter = CollectiveKind::ReduceScatter;
        assert_eq!(Opcode::from_name("reduce-scatter-start"), (Opcode::CollectiveStart(scatter), None));
        assert_eq!(Opcode::from_name("reduce-scatter-done"), (Opcode::CollectiveDone(scatter), None));
    }
}
