//! Which devices a model runs on, and how its values are split over them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use lapidary_graph::Module;
use lapidary_lower::sharding::{DeviceOrderError, DevicePosition, RulesMismatch, device_order};
use lapidary_lower::{EntryShardings, Mesh, Sharding, ShardingRules, Target, entry_shardings};
use lapidary_models::encoding::Arrangement;
use lapidary_runtime::{Client, Device};

use super::{EngineError, Kernels};
use crate::device_position::device_position;

/// Devices in the arrangement of a mesh, and the rules by which values are split over it.
///
/// The devices are global: in a cluster, those of all processes. Buffers are made on the addressable ones only.
#[derive(Clone, Debug)]
pub struct Placement {
    client: Client,
    mesh: Mesh,
    rules: ShardingRules,
    /// In the order of the mesh.
    devices: Vec<Device>,
    /// The addressable devices, by their numbers in the mesh.
    addressable: Vec<usize>,
    kernels: Kernels,
    /// How programs take weights in few bits, if not as the platform's table says.
    arrangement: Option<Arrangement>,
    /// Flags of the compiler, by name.
    compiler_flags: BTreeMap<String, String>,
}

/// A mesh, rules and devices that do not go together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlacementError {
    /// A mesh and rules that do not go together.
    #[error(transparent)]
    Rules(#[from] RulesMismatch),
    /// Devices that the mesh cannot be laid over.
    #[error(transparent)]
    Devices(#[from] DeviceOrderError),
    /// Devices of several processes.
    #[error(
        "device {id} belongs to process {process}; a model runs in one process so far: \
         choose a mesh of this process's {here} devices"
    )]
    OtherProcess {
        /// Id of the device.
        id: i32,
        /// Its process.
        process: i32,
        /// Devices of this process.
        here: usize,
    },
}

impl Placement {
    /// One device that holds everything.
    pub fn single(client: &Client, device: &Device) -> Self {
        Self {
            client: client.clone(),
            mesh: Mesh::default(),
            rules: ShardingRules::none(),
            devices: vec![device.clone()],
            addressable: vec![0],
            kernels: Kernels::default(),
            arrangement: None,
            compiler_flags: BTreeMap::new(),
        }
    }

    /// Devices of `client` as `mesh`, with values split as `rules` say. Where the plugin tells where devices are,
    /// those that exchange most are neighbours.
    ///
    /// # Errors
    /// If mesh and rules do not go together, or the mesh has more devices than the client.
    pub fn new(client: &Client, mesh: Mesh, rules: ShardingRules) -> Result<Self, PlacementError> {
        rules.check(&mesh)?;
        let positions: Vec<DevicePosition> =
            client.devices().iter().map(|device| device_position(device.description())).collect();
        // Clients do not tell which links close a torus.
        let order = device_order(&mesh, &positions, &[])?;
        Self::of_devices(client, mesh, rules, &order)
    }

    /// The devices of `client` with these ids as `mesh`, in its order; those that the client lacks are left out.
    ///
    /// # Errors
    /// If mesh and rules do not go together, or a device is another process's.
    pub(crate) fn of_devices(
        client: &Client,
        mesh: Mesh,
        rules: ShardingRules,
        ids: &[i32],
    ) -> Result<Self, PlacementError> {
        rules.check(&mesh)?;
        let device = |id: &i32| client.devices().iter().find(|device| device.id() == *id).cloned();
        let devices: Vec<Device> = ids.iter().filter_map(device).collect();
        if let Some(device) = devices.iter().find(|device| !device.is_addressable()) {
            let (id, process) = (device.id(), device.description().process_index);
            let here = client.addressable_devices().len();
            return Err(PlacementError::OtherProcess { id, process, here });
        }
        let addressable = (0..devices.len()).collect();
        Ok(Self {
            client: client.clone(),
            mesh,
            rules,
            devices,
            addressable,
            kernels: Kernels::default(),
            arrangement: None,
            compiler_flags: BTreeMap::new(),
        })
    }

    /// The same with this choice of kernels, which is [`Kernels::AUTO`] otherwise.
    #[must_use]
    pub fn with_kernels(mut self, kernels: Kernels) -> Self {
        self.kernels = kernels;
        self
    }

    /// The same with programs that take weights in few bits so, and not as the platform's table says. Answers do not depend
    /// on it: what another platform runs can be checked here.
    #[must_use]
    pub fn with_arrangement(mut self, arrangement: Arrangement) -> Self {
        self.arrangement = Some(arrangement);
        self
    }

    /// The same with these flags of the compiler for all programs, by name, on top of those of the platform's table. The
    /// compiler refuses names that it does not know.
    #[must_use]
    pub fn with_compiler_flags(mut self, flags: impl IntoIterator<Item = (String, String)>) -> Self {
        self.compiler_flags.extend(flags);
        self
    }

    /// Flags of the compiler that were asked for, by name.
    pub fn compiler_flags(&self) -> &BTreeMap<String, String> {
        &self.compiler_flags
    }

    /// The client whose devices these are.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The arrangement of the devices.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// How logical axes are split over the mesh.
    pub fn rules(&self) -> &ShardingRules {
        &self.rules
    }

    /// The devices, in the order of the mesh.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The devices that this process makes buffers on, in the order of the mesh.
    pub fn addressable_devices(&self) -> impl Iterator<Item = &Device> {
        self.addressable.iter().filter_map(|&number| self.devices.get(number))
    }

    /// The table of what differs on these devices' platform, kernels included.
    pub(super) fn target(&self) -> Result<Target, EngineError> {
        let target = self.kernels.target(self)?;
        let by_groups = self.arrangement.map(|arrangement| arrangement == Arrangement::Groups);
        Ok(Target { weights_by_groups: by_groups.unwrap_or(target.weights_by_groups), ..target })
    }

    /// How the parameters and results of a program are split; a module without an entry has none.
    pub(super) fn shardings(&self, module: &Module) -> EntryShardings {
        match module.entry().and_then(|entry| module.function(entry)) {
            Some(entry) => entry_shardings(entry, &self.mesh, &self.rules),
            None => EntryShardings { params: Vec::new(), results: Vec::new() },
        }
    }

    /// `rows`, rounded up to what the mesh splits a batch into. The rows added are idle.
    pub(super) fn padded_rows(&self, rows: usize) -> usize {
        let axes = self.rules.mesh_axes("batch").iter();
        let shards: usize = axes.filter_map(|axis| self.mesh.size(axis)).product();
        rows.checked_next_multiple_of(shards).unwrap_or(rows)
    }

    /// The distinct parts of a value that lie on addressable devices.
    pub(super) fn parts(&self, sharding: &Sharding) -> Vec<Part<'_>> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        for (index, &number) in self.addressable.iter().enumerate() {
            let Some((ranges, device)) = sharding.shard_ranges(number).zip(self.devices.get(number)) else {
                continue;
            };
            let holder = Holder { index, device };
            match parts.iter_mut().find(|part| part.ranges == ranges) {
                Some(part) => part.holders.push(holder),
                None => parts.push(Part { ranges, holders: vec![holder] }),
            }
        }
        parts
    }
}

/// A part of a value, and who holds a copy of it.
pub(super) struct Part<'p> {
    /// A range of each dimension.
    pub(super) ranges: Vec<Range<usize>>,
    pub(super) holders: Vec<Holder<'p>>,
}

/// A device that holds a part.
#[derive(Clone, Copy)]
pub(super) struct Holder<'p> {
    /// Its number among the addressable devices.
    pub(super) index: usize,
    pub(super) device: &'p Device,
}

impl fmt::Display for Placement {
    /// `cpu`, or `8 x TPU v5p (data=2,model=4)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.devices.first().map_or("", |device| &device.description().kind);
        match self.devices.len() {
            1 => f.write_str(kind),
            several => write!(f, "{several} x {kind} ({})", self.mesh),
        }
    }
}
