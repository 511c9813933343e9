//! The results of a program: answers, then the state after the step.

use lapidary_graph::{BuildError, FunctionBuilder, FunctionResult, LogicalAxes, ValueId};

use super::{Output, ResultRole, ResultSpec, StateKind};

/// The entry function's results in the making.
#[derive(Default)]
pub(super) struct Results {
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    role: ResultRole,
    value: ValueId,
    axes: LogicalAxes,
}

impl Results {
    pub(super) fn output(&mut self, output: Output, value: ValueId, axes: &[&str]) {
        let (role, axes) = (ResultRole::Output(output), LogicalAxes::of(axes));
        self.entries.push(Entry { name: output.name().to_string(), role, value, axes });
    }

    pub(super) fn state(&mut self, layer: usize, kind: StateKind, value: ValueId) {
        let name = format!("cache.{layer}.{}", kind.name());
        let role = ResultRole::State { layer, kind };
        self.entries.push(Entry { name, role, value, axes: kind.axes() });
    }

    /// Each result's role, in order.
    pub(super) fn roles(&self) -> impl Iterator<Item = ResultRole> + '_ {
        self.entries.iter().map(|entry| entry.role)
    }

    /// What each result is, and what the function returns.
    pub(super) fn typed(
        self,
        b: &FunctionBuilder<'_>,
    ) -> Result<(Vec<ResultSpec>, Vec<FunctionResult>), BuildError> {
        let typed = self.entries.into_iter().map(|Entry { name, role, value, axes }| {
            let ty = b.ty(value)?;
            let returned = FunctionResult { value, name: name.clone(), axes: Some(axes.clone()) };
            Ok((ResultSpec { name, role, ty, axes }, returned))
        });
        Ok(typed.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
    }
}
