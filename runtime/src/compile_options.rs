//! Options of a compilation, checked before a plugin sees them.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use serde::{Deserialize, Serialize};

use crate::proto::compile_options::{
    CompileOptionsProto, ComputationDevice, DeviceAssignmentProto, ExecutableBuildOptionsProto,
    OptionOverrideProto, OptionOverrideValue,
};
use crate::{Error, Result};

/// How to compile a program, and for which devices.
///
/// A program runs on `num_replicas * num_partitions` devices: partitions share one instance of it by its
/// sharding annotations, replicas are instances that only collectives connect.
#[derive(Debug, Clone, PartialEq)]
pub struct CompileOptions {
    num_replicas: usize,
    num_partitions: usize,
    device_assignment: Option<Vec<Vec<i32>>>,
    use_shardy: bool,
    overrides: BTreeMap<String, CompilerFlag>,
}

/// Value of a compiler flag. It is serialized as the bare value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CompilerFlag {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Double(f64),
    /// Text, which every flag accepts.
    String(String),
}

impl Default for CompileOptions {
    /// One device, chosen by the plugin.
    fn default() -> Self {
        Self {
            num_replicas: 1,
            num_partitions: 1,
            device_assignment: None,
            use_shardy: true,
            overrides: BTreeMap::new(),
        }
    }
}

impl CompileOptions {
    /// One device, chosen by the plugin.
    pub fn new() -> Self {
        Self::default()
    }

    /// One device, by global id.
    pub fn on_device(id: i32) -> Self {
        Self::default().device_assignment(vec![vec![id]])
    }

    /// Runs `count` instances of the program.
    pub fn num_replicas(mut self, count: usize) -> Self {
        self.num_replicas = count;
        self
    }

    /// Splits the program over `count` devices by its sharding annotations (SPMD).
    pub fn num_partitions(mut self, count: usize) -> Self {
        self.num_partitions = count;
        self
    }

    /// Says which devices to use: global ids by replica, then partition. It sets both counts.
    pub fn device_assignment(mut self, ids: Vec<Vec<i32>>) -> Self {
        self.num_replicas = ids.len();
        self.num_partitions = ids.first().map_or(0, Vec::len);
        self.device_assignment = Some(ids);
        self
    }

    /// Whether sharding annotations are Shardy's (`sdy.sharding`, the default) or GSPMD's (`mhlo.sharding`).
    pub fn use_shardy(mut self, use_shardy: bool) -> Self {
        self.use_shardy = use_shardy;
        self
    }

    /// Sets a compiler flag (`xla_...`) for this compilation. Plugins refuse names that they do not know.
    pub fn flag(mut self, name: impl Into<String>, value: CompilerFlag) -> Self {
        self.overrides.insert(name.into(), value);
        self
    }

    /// Number of devices that the program runs on, in all processes.
    pub fn num_devices(&self) -> usize {
        self.num_replicas.saturating_mul(self.num_partitions)
    }

    /// The `CompileOptionsProto` for a platform that has `devices`. Equal options give equal bytes, so that
    /// they can be part of a cache key.
    ///
    /// # Errors
    /// [`Error::CompileOptions`] if the counts are zero or exceed the devices, or if the assignment is
    /// ragged, names a device twice, or names one that does not exist: plugins end the process over some
    /// of these.
    pub fn serialize(&self, devices: &BTreeSet<i32>) -> Result<Vec<u8>> {
        self.check(devices)?;
        let count = |what, count: usize| {
            i32::try_from(count).map_err(|_| Error::CompileOptions(format!("{what} is {count}")))
        };
        let replica_count = count("the number of replicas", self.num_replicas)?;
        let computation_count = count("the number of partitions", self.num_partitions)?;
        let device_assignment = self.device_assignment.as_ref().map(|by_replica| DeviceAssignmentProto {
            replica_count,
            computation_count,
            computation_devices: (0..self.num_partitions)
                .map(|partition| ComputationDevice {
                    replica_device_ids: by_replica
                        .iter()
                        .filter_map(|replica| replica.get(partition).copied().map(i64::from))
                        .collect(),
                })
                .collect(),
        });
        let proto = CompileOptionsProto {
            executable_build_options: Some(ExecutableBuildOptionsProto {
                device_ordinal: -1,
                num_replicas: replica_count.into(),
                num_partitions: computation_count.into(),
                use_spmd_partitioning: self.num_partitions > 1,
                device_assignment,
                use_shardy_partitioner: self.use_shardy,
            }),
            env_option_overrides: self
                .overrides
                .iter()
                .map(|(name, flag)| (name.clone(), OptionOverrideProto { value: Some(flag.to_proto()) }))
                .collect(),
        };
        Ok(proto.encode_to_vec())
    }

    fn check(&self, devices: &BTreeSet<i32>) -> Result<()> {
        let invalid = |problem: String| Err(Error::CompileOptions(problem));
        if self.num_devices() == 0 {
            return invalid("the program must run on at least one device".to_owned());
        }
        if self.num_devices() > devices.len() {
            return invalid(format!(
                "{} replicas of {} partitions need {} devices, but there are {}",
                self.num_replicas,
                self.num_partitions,
                self.num_devices(),
                devices.len()
            ));
        }
        let Some(assignment) = &self.device_assignment else { return Ok(()) };
        if assignment.len() != self.num_replicas
            || assignment.iter().any(|replica| replica.len() != self.num_partitions)
        {
            return invalid(format!(
                "the device assignment must have {} rows of {} device ids",
                self.num_replicas, self.num_partitions
            ));
        }
        let mut used = BTreeSet::new();
        for &id in assignment.iter().flatten() {
            if !devices.contains(&id) {
                return invalid(format!("the device assignment names device {id}, which does not exist"));
            }
            if !used.insert(id) {
                return invalid(format!("the device assignment names device {id} twice"));
            }
        }
        Ok(())
    }
}

impl CompilerFlag {
    /// The value that a text stands for: `true` and `false` as truth values, which plugins read only as `True` and
    /// `False` in a text, and everything else as the text, which they read in the flag's own type.
    pub fn of_text(text: &str) -> Self {
        match text {
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            text => Self::String(text.to_owned()),
        }
    }

    fn to_proto(&self) -> OptionOverrideValue {
        match self {
            Self::String(value) => OptionOverrideValue::String(value.clone()),
            Self::Bool(value) => OptionOverrideValue::Bool(*value),
            Self::Int(value) => OptionOverrideValue::Int(*value),
            Self::Double(value) => OptionOverrideValue::Double(*value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(count: i32) -> BTreeSet<i32> {
        (0..count).collect()
    }

    #[test]
    fn assignments_that_plugins_abort_over_are_refused() {
        for (options, what) in [
            (CompileOptions::on_device(4), "does not exist"),
            (CompileOptions::on_device(-1), "does not exist"),
            (CompileOptions::new().device_assignment(vec![vec![0, 0]]), "twice"),
            (CompileOptions::new().device_assignment(vec![vec![0, 1], vec![2]]), "rows"),
            (CompileOptions::new().device_assignment(vec![]), "at least one"),
            (CompileOptions::new().num_replicas(0), "at least one"),
            (CompileOptions::new().num_partitions(5), "need 5 devices"),
            (CompileOptions::new().num_replicas(usize::MAX).num_partitions(usize::MAX), "devices"),
            (CompileOptions::on_device(0).num_partitions(2), "rows"),
        ] {
            let error = options.serialize(&devices(4)).unwrap_err().to_string();
            assert!(error.contains(what), "{error:?} should say {what:?}");
        }
    }

    #[test]
    fn assignment_is_stored_by_partition_then_replica() {
        let options = CompileOptions::new().device_assignment(vec![vec![0, 1, 2], vec![3, 4, 5]]);
        let bytes = options.serialize(&devices(6)).unwrap();
        let proto = CompileOptionsProto::decode(bytes.as_slice()).unwrap();
        let build = proto.executable_build_options.unwrap();
        assert_eq!((build.device_ordinal, build.num_replicas, build.num_partitions), (-1, 2, 3));
        assert!(build.use_spmd_partitioning);
        let assignment = build.device_assignment.unwrap();
        let ids = assignment.computation_devices.into_iter().map(|device| device.replica_device_ids);
        assert_eq!(ids.collect::<Vec<_>>(), [[0, 3], [1, 4], [2, 5]]);
    }

    #[test]
    fn texts_of_flags_have_the_types_that_plugins_read() {
        assert_eq!(CompilerFlag::of_text("true"), CompilerFlag::Bool(true));
        assert_eq!(CompilerFlag::of_text("false"), CompilerFlag::Bool(false));
        for text in ["4", "FUSION,WHILE", ""] {
            assert_eq!(CompilerFlag::of_text(text), CompilerFlag::String(text.to_owned()));
        }
    }

    #[test]
    fn equal_options_have_equal_bytes() {
        let flags = |names: [&str; 3]| {
            let options = names
                .into_iter()
                .fold(CompileOptions::new(), |options, name| options.flag(name, CompilerFlag::Bool(true)));
            options.serialize(&devices(1)).unwrap()
        };
        assert_eq!(flags(["a", "b", "c"]), flags(["c", "a", "b"]));
    }
}
