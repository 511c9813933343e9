//! The report on shardings as tables.

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

    fn role(&self) -> &'a str {
        self.first.role.as_deref().unwrap_or("parameter")
    }

    /// The row, with its reasons as the letters of `notes`.
    fn cells(&self, notes: &mut Notes<'a>) -> [String; COLUMNS] {
        let Self { first, count, .. } = self;
        let name = if *count == 1 { &first.name } else { &self.name };
        let letters: Vec<String> = first.reasons.iter().map(|reason| notes.letter(reason)).collect();
        [
            name.clone(),
            format!("{count}"),
            first.ty.clone(),
            axes(first),
            list(&first.shard_shape),
            Bytes(first.bytes_per_device.saturating_mul(*count)).to_string(),
            format!("{}", first.copies),
            letters.join(" "),
        ]
    }
}

/// The logical axis of each dimension and what that is split over: `[vocab:model, embed]`.
fn axes(param: &ParamReport) -> String {
    let dims = param.split.dims().iter().zip(&param.logical_axes).map(|(dim, logical)| {
        let logical = logical.as_deref().unwrap_or("-");
        match dim.splits.is_empty() {
            true => logical.to_string(),
            false => format!("{logical}:{}", param.split.split_text(dim)),
        }
    });
    format!("[{}]", dims.collect::<Vec<_>>().join(", "))
}

/// Dimensions as a type has them: `[128,64]`.
fn list(dims: &[usize]) -> String {
    format!("[{}]", dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

/// Reasons that rows refer to by letters, in the order of first use.
#[derive(Default)]
struct Notes<'a>(Vec<&'a str>);

impl<'a> Notes<'a> {
    fn letter(&mut self, reason: &'a str) -> String {
        let known = self.0.iter().position(|note| *note == reason);
        Self::name(known.unwrap_or_else(|| {
            self.0.push(reason);
            self.0.len() - 1
        }))
    }

    /// `a` to `z`, then `a1` and so on.
    fn name(index: usize) -> String {
        const LETTERS: usize = 26;
        let letter = char::from(b'a' + (index % LETTERS) as u8);
        match index / LETTERS {
            0 => letter.to_string(),
            round => format!("{letter}{round}"),
        }
    }
}

/// The name with `*` for each number between its dots.
fn without_numbers(name: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = name.split('.').map(|part| if is_number(part) { "*" } else { part }).collect();
    parts.join(".")
}

const COLUMNS: usize = 8;
/// After the role of what a table lists.
const TITLES: [&str; COLUMNS - 1] = ["count", "type", "axes", "shard", "a device", "copies", "notes"];
/// Columns of numbers, which are aligned to the right.
const NUMBERS: [usize; 3] = [1, 5, 6];

impl fmt::Display for ShardingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut notes = Notes::default();
        for group in Line::all(self).chunk_by(|a, b| a.role() == b.role()) {
            let role = group.first().map(Line::role).unwrap_or_default();
            let mut rows = vec![std::array::from_fn(|column| match column.checked_sub(1) {
                Some(title) => TITLES.get(title).copied().unwrap_or_default().to_string(),
                None => role.to_string(),
            })];
            rows.extend(group.iter().map(|line| line.cells(&mut notes)));
            write_rows(f, &rows)?;
            writeln!(f)?;
        }
        for (index, note) in notes.0.iter().enumerate() {
            writeln!(f, "{}: {note}", Notes::name(index))?;
        }
        let Self { mesh, devices, .. } = self;
        let (each, all) = (Bytes(self.bytes_per_device), Bytes(self.bytes));
        match devices {
            1 => write!(f, "{all} on one device"),
            _ => write!(f, "{each} on each of {devices} devices ({mesh}), of {all} in all"),
        }
    }
}

/// Rows whose cells stand below each other.
fn write_rows(f: &mut fmt::Formatter<'_>, rows: &[[String; COLUMNS]]) -> fmt::Result {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            match NUMBERS.contains(&column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            }
        });
        writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
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
        let expected = "\
other   count  type      axes          shard  a device  copies  notes
tokens      1  s32[5,1]  [batch, seq]  [5,1]      20 B      16  a b

state         count  type             axes                                              shard         a device  copies  notes
cache.*.keys      2  bf16[5,8,64,16]  [cache_batch, kv_heads:model/8, cache, head_dim]  [5,1,64,16]  20.00 KiB       2  c

other  count  type           axes                  shard    a device  copies  notes
embed      1  bf16[1000,32]  [vocab:model, embed]  [63,32]  3.94 KiB       1  d
norm       1  bf16[32]       [embed]               [32]         64 B      16  e

a: `batch` is whole: the mesh has no axis `data`
b: `seq` is whole: the mesh has no axis `seq`
c: `kv_heads`, of 8, is split over `model` in 8 parts, each on 2 neighbouring devices
d: `vocab` is padded from 1000 to 1008 for `model`
e: no rule splits it
24.02 KiB on each of 16 devices (model=16), of 222.58 KiB in all";
        assert_eq!(report("model=16").to_string(), expected);
    }

    #[test]
    fn on_one_device_there_is_nothing_to_explain() {
        let report = report("model=1");
        assert!(report.params.iter().all(|param| param.reasons.is_empty()));
        assert!(report.to_string().ends_with("\n\n222.58 KiB on one device"), "{report}");
    }

    #[test]
    fn what_could_not_be_divided_is_told_once() {
        let undivided = |mesh: &str| -> Vec<String> {
            report(mesh).undivided().into_iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            undivided("data=7,model=3"),
            ["`kv_heads` is whole over `model`: 8 is not divisible by 3"]
        );
        assert!(undivided("data=2,model=16").is_empty());
    }

    #[test]
    fn it_is_plain_data() {
        let json = serde_json::to_value(report("data=2,model=4")).unwrap();
        assert_eq!(json["mesh"], "data=2,model=4");
        assert_eq!(json["params"][1]["sharding"], "[data, model, -, -]");
        assert_eq!(json["params"][1]["shard_shape"], serde_json::json!([3, 2, 64, 16]));
        assert_eq!(json["params"][1]["reasons"][0], "`cache_batch` is padded from 5 to 6 for `data`");
        assert_eq!(json["params"][3]["copies"], 2);
    }
}
