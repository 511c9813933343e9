//! The report on shardings as a table.

use std::fmt;

use super::{ParamReport, ShardingReport};

/// Parameters that differ only in numbers within their names.
struct Line<'a> {
    /// The common name, with `*` for the numbers.
    name: String,
    first: &'a ParamReport,
    count: usize,
}

impl<'a> Line<'a> {
    fn all(report: &'a ShardingReport) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        for param in &report.params {
            let name = without_numbers(&param.name);
            let same = |line: &&mut Line<'_>| line.name == name && line.alike(param);
            match lines.iter_mut().find(same) {
                Some(line) => line.count += 1,
                None => lines.push(Self { name, first: param, count: 1 }),
            }
        }
        lines
    }

    fn alike(&self, param: &ParamReport) -> bool {
        let first = self.first;
        (&first.role, &first.ty, &first.sharding, &first.reasons)
            == (&param.role, &param.ty, &param.sharding, &param.reasons)
    }

    fn cells(&self) -> [String; COLUMNS] {
        let Self { first, count, .. } = self;
        let name = if *count == 1 { &first.name } else { &self.name };
        let axes: Vec<&str> = first.logical_axes.iter().map(|axis| axis.as_deref().unwrap_or("-")).collect();
        [
            name.clone(),
            format!("{count}"),
            first.role.clone().unwrap_or_default(),
            first.ty.clone(),
            format!("[{}]", axes.join(", ")),
            first.sharding.clone(),
            format!("{:?}", first.shard_shape),
            Bytes(first.bytes_per_device.saturating_mul(*count)).to_string(),
            format!("{}", first.copies),
            first.reasons.join("; "),
        ]
    }
}

/// The name with `*` for each number between its dots.
fn without_numbers(name: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = name.split('.').map(|part| if is_number(part) { "*" } else { part }).collect();
    parts.join(".")
}

const COLUMNS: usize = 10;
const TITLES: [&str; COLUMNS] =
    ["parameter", "count", "role", "type", "axes", "sharding", "shard", "a device", "copies", "why"];
/// Columns of numbers, which are aligned to the right.
const NUMBERS: [usize; 3] = [1, 7, 8];

impl fmt::Display for ShardingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = TITLES.map(str::to_string);
        let rows: Vec<[String; COLUMNS]> =
            std::iter::once(title).chain(Line::all(self).iter().map(Line::cells)).collect();
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let cell = match NUMBERS.contains(&column) {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                };
                line += if column == 0 { "" } else { "  " };
                line += &cell;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        let Self { mesh, devices, .. } = self;
        let (each, all) = (Bytes(self.bytes_per_device), Bytes(self.bytes));
        write!(f, "{each} on each of {devices} devices ({mesh}), of {all} in all")
    }
}

/// Bytes in binary units: `1.50 GiB`.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < units.len() {
            value /= 1024.0;
            unit += 1;
        }
        let decimals = if unit == 0 { 0 } else { 2 };
        write!(f, "{value:.decimals$} {}", units.get(unit).unwrap_or(&""))
    }
}

#[cfg(test)]
mod tests {
    use lapidary_graph::text;

    use crate::sharding::{ShardingReport, ShardingRules};

    fn report(mesh: &str) -> ShardingReport {
        let source = "module @m
func @main(%t: s32[5,1] \"tokens\" axes = [batch, seq], %c: bf16[5,8,64,16] \"cache.0.keys\" \
             axes = [cache_batch, kv_heads, cache, head_dim], %d: bf16[5,8,64,16] \"cache.1.keys\" \
             axes = [cache_batch, kv_heads, cache, head_dim], %e: bf16[1000,32] \"embed\" \
             axes = [vocab, embed], %n: bf16[32] \"norm\" axes = [embed]) -> () { return }";
        let module = text::parse(source).unwrap();
        let entry = module.function(module.entry().unwrap()).unwrap();
        let role = |param: &lapidary_graph::Param| {
            Some(if param.name.starts_with("cache") { "state" } else { "other" }.to_string())
        };
        ShardingReport::new(entry, &mesh.parse().unwrap(), &ShardingRules::transformer(), role)
    }

    #[test]
    fn every_parameter_is_accounted_for() {
        let table = report("model=16").to_string();
        let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
        let expected = [
            "parameter     count  role   type             axes                                     sharding           shard           a device  copies  why",
            "tokens            1  other  s32[5,1]         [batch, seq]                             [-, -]             [5, 1]              20 B      16  batch is whole: the mesh has no axis `data`; seq is whole: the mesh has no axis `seq`",
            "cache.*.keys      2  state  bf16[5,8,64,16]  [cache_batch, kv_heads, cache, head_dim] [-, model/8, -, -]  [5, 1, 64, 16]  20.00 KiB       2  kv_heads is split over a sub-axis of `model`: 8 in 8 shards, each replicated 2 times",
        ];
        assert_eq!(lines.len(), 6, "{table}");
        let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        for (line, expected) in lines.iter().zip(expected) {
            assert_eq!(squeeze(line), squeeze(expected), "{table}");
        }
        assert!(lines[3].contains("vocab is padded from 1000 to 1008 for `model`"), "{table}");
        assert!(lines[4].ends_with("no rule splits it"), "{table}");
        assert_eq!(lines[5], "24.02 KiB on each of 16 devices (model=16), of 222.58 KiB in all");
        // The title row says where each column starts.
        assert_eq!(lines[0].find("sharding"), lines[1].find("[-, -]"));
    }

    #[test]
    fn it_is_plain_data() {
        let json = serde_json::to_value(report("data=2,model=4")).unwrap();
        assert_eq!(json["mesh"], "data=2,model=4");
        assert_eq!(json["params"][1]["sharding"], "[data, model, -, -]");
        assert_eq!(json["params"][1]["shard_shape"], serde_json::json!([3, 2, 64, 16]));
        assert_eq!(json["params"][1]["reasons"][0], "cache_batch is padded from 5 to 6 for `data`");
        assert_eq!(json["params"][3]["copies"], 2);
    }
}
