//! Splitting values over devices: meshes, rules, and what they come to for each value.
//!
//! A graph labels dimensions with logical axes; a [`Mesh`] names the devices' arrangement and
//! [`ShardingRules`] say which mesh axes a logical axis may be split over. Binding the three gives a
//! [`Sharding`], which the program text carries in Shardy's terms and which loading uses to cut weights.

mod bind;
mod deviation;
mod device_order;
mod entry;
mod grid;
mod mesh;
mod placement;
mod report;
mod report_table;
mod rules;
mod rules_file;
mod split;
mod units;

pub use deviation::{Deviation, DeviationReason};
pub use device_order::{DeviceOrderError, DevicePosition, device_order};
pub use entry::{EntryShardings, entry_shardings};
pub use mesh::{Mesh, MeshError};
pub(crate) use placement::Placement;
pub use report::{ParamReport, ShardingReport};
pub use rules::{RulesMismatch, ShardingRules};
pub use rules_file::{RulesError, RulesProblem};
pub use split::{AxisSplit, DimSharding, Sharding};
pub use units::AxisUnits;
