//! Where values lie on an axis, and where its ticks are.

/// How distances on an axis are related to values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Proportional, from zero.
    Linear,
    /// Each doubling is as wide as the others.
    Log2,
}

/// An axis: what it shows, and from where to where.
#[derive(Clone, PartialEq, Debug)]
pub struct Axis {
    /// What is shown, with its unit.
    pub label: String,
    /// Where ticks are, in ascending order.
    pub ticks: Vec<f64>,
    scale: Scale,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis for measured quantities: from zero to a round number that is not below the largest value.
    pub fn quantity(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let step = round_step(if most > 0.0 { most } else { 1.0 } / 5.0);
        let steps = (most / step).ceil().max(1.0);
        let ticks: Vec<f64> = (0..=steps as usize).map(|tick| tick as f64 * step).collect();
        Self { label: label.to_owned(), ticks, scale: Scale::Linear, from: 0.0, to: steps * step }
    }

    /// An axis for what was varied, with a tick at each value that was tried; at least one.
    pub fn varied(label: &str, scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let mut ticks: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let to = ticks.last().copied().unwrap_or(1.0);
        let from = match scale {
            Scale::Linear => 0.0,
            Scale::Log2 => ticks.first().copied().unwrap_or(1.0),
        };
        Self { label: label.to_owned(), ticks, scale, from, to }
    }

    /// Where `value` lies: 0 at the start of the axis, 1 at its end.
    pub fn position(&self, value: f64) -> f64 {
        let place = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log2 => value.log2(),
        };
        let length = place(self.to) - place(self.from);
        // A single value stands in the middle.
        if length > 0.0 { (place(value) - place(self.from)) / length } else { 0.5 }
    }
}

/// The least of 1, 2, 2.5 and 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let fits = |factor: &f64| factor * power >= least * (1.0 - 1e-9);
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(fits).unwrap_or(10.0) * power
}

/// A number in three significant digits at most: `0`, `0.25`, `12.5`, `8192`.
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_end_at_round_numbers() {
        let ends = |most: f64| {
            let axis = Axis::quantity("s", [most / 3.0, most].into_iter());
            (axis.ticks.len(), axis.ticks.last().copied())
        };
        assert_eq!(ends(9.7), (6, Some(10.0)));
        assert_eq!(ends(83.0), (6, Some(100.0)));
        assert_eq!(ends(0.0), (2, Some(0.2)));
        assert_eq!(ends(10.0), (6, Some(10.0)));
    }

    #[test]
    fn doublings_are_equally_wide() {
        let axis = Axis::varied("rows", Scale::Log2, [8.0, 1.0, 2.0, 2.0, 4.0].into_iter());
        assert_eq!(axis.ticks, [1.0, 2.0, 4.0, 8.0]);
        assert_eq!(axis.position(1.0), 0.0);
        assert!((axis.position(4.0) - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(Axis::varied("rows", Scale::Log2, [4.0].into_iter()).position(4.0), 0.5);
        assert_eq!(Axis::varied("layers", Scale::Linear, [2.0, 26.0].into_iter()).position(13.0), 0.5);
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.25, 2.0, 12.5, 12.46, 8192.0, 0.1 + 0.2].map(number);
        assert_eq!(texts, ["0", "0.25", "2", "12.5", "12.5", "8192", "0.3"]);
    }
}
