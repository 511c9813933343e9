//! Collectives, those alike together.

use lapidary_hlo::{Collective, CollectiveKind, Groups, UNATTRIBUTED};
use serde::Serialize;

/// Collectives that are alike in all that is told of them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CollectiveSummary {
    /// What they do.
    pub kind: CollectiveKind,
    /// Group of model paths that they come from.
    pub path: String,
    /// How many times one runs.
    pub count: u64,
    /// Bytes that each device ends up with from all of them; of a reduce-scatter those that it puts in.
    pub bytes: u64,
    /// Bytes that each device sends, over rings.
    pub sent_bytes: u64,
    /// Devices that take part in one; `None` if all do and nobody said how many there are.
    pub group_size: Option<u64>,
    /// Mesh axes along which they communicate; `None` without a mesh, or if it is along none.
    pub axes: Option<Vec<String>>,
    /// Whether other instructions may run between their start and their end.
    pub asynchronous: bool,
}

/// The collectives of a program, most bytes first.
pub(super) fn summaries(collectives: &[Collective], groups: &Groups) -> Vec<CollectiveSummary> {
    let mut summaries: Vec<CollectiveSummary> = Vec::new();
    for collective in collectives {
        let path = match &collective.path {
            Some(path) => groups.group(path),
            None => UNATTRIBUTED.to_string(),
        };
        let alike = summaries.iter_mut().find(|summary| {
            summary.kind == collective.kind
                && summary.path == path
                && summary.group_size == collective.group_size
                && summary.axes == collective.axes
                && summary.asynchronous == collective.asynchronous
        });
        let times = collective.times;
        let (bytes, sent) =
            (collective.bytes.saturating_mul(times), collective.sent_bytes.saturating_mul(times));
        match alike {
            Some(summary) => {
                summary.count = summary.count.saturating_add(times);
                summary.bytes = summary.bytes.saturating_add(bytes);
                summary.sent_bytes = summary.sent_bytes.saturating_add(sent);
            }
            None => summaries.push(CollectiveSummary {
                kind: collective.kind,
                path,
                count: times,
                bytes,
                sent_bytes: sent,
                group_size: collective.group_size,
                axes: collective.axes.clone(),
                asynchronous: collective.asynchronous,
            }),
        }
    }
    summaries.sort_by_key(|summary| std::cmp::Reverse(summary.sent_bytes));
    summaries
}
