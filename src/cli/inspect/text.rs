//! An inspected program for people.

use lapidary::inspect::format::{bytes, count, excess, flops, ratio, seconds};
use lapidary::inspect::{Inspection, NamedCost, Part, TemporariesSource};

use crate::cli::table::Table;

/// The whole report, the verdict first; of long lists the `top` largest.
pub fn report(program: &Inspection, top: usize) -> String {
    let sections = [
        format!("{}\n", verdict(program)),
        setting(program),
        memory(program),
        traffic(program),
        operations(program, top),
        operations_against_ideal(program),
        layers(program),
        collectives(program),
        temporaries(program),
        copies(program),
        time(program),
        caveats(program),
    ];
    let told: Vec<String> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    told.join("\n")
}

fn verdict(program: &Inspection) -> String {
    let traffic = &program.traffic;
    let ideal = match traffic.ratio {
        Some(_) => format!(", {} the ideal of {}", ratio(traffic.ratio), bytes(traffic.ideal_bytes)),
        None => String::new(),
    };
    let time = match (&program.estimate, &program.target) {
        (Some(estimate), Some(target)) => {
            format!(", and takes {} on {target} (estimate)", seconds(estimate.seconds))
        }
        _ => String::new(),
    };
    format!("{} moves {} through HBM{ideal}{time}.", program.name, bytes(traffic.bytes))
}

fn setting(program: &Inspection) -> String {
    let unknown = || "not known".to_string();
    let mesh = program.mesh.clone().unwrap_or_else(|| match program.collectives.is_empty() {
        true => "one device".to_string(),
        false => unknown(),
    });
    format!(
        "  file    {}\n  target  {}\n  mesh    {mesh}\n",
        program.file.display(),
        program.target.clone().unwrap_or_else(unknown),
    )
}

fn memory(program: &Inspection) -> String {
    let memory = &program.memory;
    let mut table = Table::new(&["Memory of each device"]);
    for (kind, amount) in memory.kinds() {
        let remark = match (kind, memory.temporaries_source) {
            ("temporaries", TemporariesSource::Schedule) => "at once at most, by the schedule".to_string(),
            ("temporaries", TemporariesSource::Compiler) => "as the compiler allocates them".to_string(),
            ("KV cache", _) if memory.kv_cache_saved_bytes > 0 => {
                let whole = memory.kv_cache_bytes.saturating_add(memory.kv_cache_saved_bytes);
                format!("of {} if local layers held more than their windows", bytes(whole))
            }
            _ => String::new(),
        };
        table.row(vec![format!("  {kind:11}  {:>10}  {remark}", bytes(amount))]);
    }
    let available = memory.available_bytes.map(|available| format!("of {}", bytes(available)));
    let total =
        format!("  {:11}  {:>10}  {}", "total", bytes(memory.total_bytes), available.unwrap_or_default());
    table.row(vec![total]);
    table.to_string()
}

fn traffic(program: &Inspection) -> String {
    let mut table =
        Table::new(&["HBM traffic by model path", "read", "written", "ideal", "excess", "time", "bound"]);
    for NamedCost { name, cost, ideal_bytes } in &program.by_path {
        let time = cost.time.filter(|time| time.seconds > 0.0);
        table.row(vec![
            format!("  {name}"),
            bytes(cost.read_bytes),
            bytes(cost.written_bytes),
            ideal_bytes.map_or_else(|| "-".to_string(), bytes),
            excess(cost.bytes, *ideal_bytes),
            time.map_or_else(|| "-".to_string(), |time| seconds(time.seconds)),
            time.map_or("-", |time| time.bound().name()).to_string(),
        ]);
    }
    let total = &program.traffic;
    table.row(vec![
        "  total".to_string(),
        bytes(total.read_bytes),
        bytes(total.written_bytes),
        bytes(total.ideal_bytes),
        excess(total.bytes, Some(total.ideal_bytes)),
        program.estimate.map_or_else(|| "-".to_string(), |estimate| seconds(estimate.seconds)),
    ]);
    table.to_string()
}

fn operations(program: &Inspection, top: usize) -> String {
    let mut table = Table::new(&["HBM traffic by operation", "runs", "read", "written", "time"]);
    for NamedCost { name, cost, .. } in program.by_operation.iter().take(top) {
        let time = cost.time.filter(|time| time.seconds > 0.0);
        table.row(vec![
            format!("  {name}"),
            cost.instructions.to_string(),
            bytes(cost.read_bytes),
            bytes(cost.written_bytes),
            time.map_or_else(|| "-".to_string(), |time| seconds(time.seconds)),
        ]);
    }
    if top == 0 { String::new() } else { table.to_string() }
}

fn operations_against_ideal(program: &Inspection) -> String {
    let total = &program.flops;
    let ideal = match total.ideal_matrix {
        Some(ideal) => format!(", {} the ideal of {}", ratio(total.ratio), flops(ideal)),
        None => String::new(),
    };
    format!(
        "Arithmetic\n  matrix products  {}{ideal}\n  on elements      {}\n",
        flops(total.matrix),
        flops(total.elementwise)
    )
}

/// Layers that cost the same stand in one row.
fn layers(program: &Inspection) -> String {
    let mut alike: Vec<(Vec<String>, Vec<u64>)> = Vec::new();
    for layer in &program.layers {
        let mut cells: Vec<String> = layer.parts.iter().map(|part| bytes(part.cost.bytes)).collect();
        cells.push(excess(layer.bytes, Some(layer.ideal_bytes)));
        cells.push(layer.seconds.map_or_else(|| "-".to_string(), seconds));
        cells.push(layer.collectives.len().to_string());
        match alike.iter_mut().find(|(seen, _)| *seen == cells) {
            Some((_, numbers)) => numbers.push(layer.layer),
            None => alike.push((cells, vec![layer.layer])),
        }
    }
    let mut header = vec!["HBM traffic of a layer"];
    header.extend(Part::ALL.iter().map(|part| part.name()));
    header.extend(["excess", "time", "collectives"]);
    let mut table = Table::new(&header);
    for (cells, numbers) in alike {
        table.row(std::iter::once(format!("  {}", layer_numbers(&numbers))).chain(cells).collect());
    }
    if program.layers.is_empty() { String::new() } else { table.to_string() }
}

/// `3`; `3 to 45` for all between; `0, 2, 4, ... 44` for some.
fn layer_numbers(numbers: &[u64]) -> String {
    match numbers {
        [first, .., last] if last - first == numbers.len() as u64 - 1 => format!("{first} to {last}"),
        [first, second, third, _, .., last] => format!("{first}, {second}, {third}, ... {last}"),
        _ => numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn collectives(program: &Inspection) -> String {
    if program.collectives.is_empty() {
        return "Collectives\n  none\n".to_string();
    }
    let mut table = Table::new(&["Collectives", "count", "result", "sent", "devices", "axis", "", "for"]);
    for collective in &program.collectives {
        let axes = collective.axes.as_ref().map(|axes| axes.join(","));
        table.row(vec![
            format!("  {}", collective.kind),
            collective.count.to_string(),
            bytes(collective.bytes),
            bytes(collective.sent_bytes),
            collective.group_size.map_or_else(|| "all".to_string(), |size| size.to_string()),
            axes.unwrap_or_else(|| "-".to_string()),
            if collective.asynchronous { "async" } else { "sync" }.to_string(),
            collective.path.clone(),
        ]);
    }
    table.to_string()
}

fn temporaries(program: &Inspection) -> String {
    let mut table = Table::new(&["Largest temporaries", "", "", "", ""]);
    for temporary in &program.temporaries {
        table.row(vec![
            format!("  {}", bytes(temporary.bytes)),
            temporary.path.clone().unwrap_or_else(|| "-".to_string()),
            temporary.opcode.clone(),
            temporary.shape.clone(),
            if temporary.is_result { "result" } else { "" }.to_string(),
        ]);
    }
    if program.temporaries.is_empty() { String::new() } else { table.to_string() }
}

fn copies(program: &Inspection) -> String {
    let mut table = Table::new(&["Largest copies", "", "", "", ""]);
    for copy in &program.copies {
        table.row(vec![
            format!("  {}", bytes(copy.bytes)),
            copy.path.clone().unwrap_or_else(|| "-".to_string()),
            copy.operation.clone(),
            copy.shape.clone(),
            if copy.times == 1 { String::new() } else { count(copy.times, "time", "times") },
        ]);
    }
    if program.copies.is_empty() { String::new() } else { table.to_string() }
}

fn time(program: &Inspection) -> String {
    let (Some(estimate), Some(rates)) = (&program.estimate, &program.rates) else { return String::new() };
    let mut table = Table::new(&["Time of a step (estimate)"]);
    let mut line = |what: &str, time: f64, remark: String| {
        table.row(vec![format!("  {what:14}{:>10}  {remark}", seconds(time)).trim_end().to_string()]);
    };
    let rate = |rate: f64, unit: &str| format!("at {:.0} {unit}", rate);
    line("HBM", estimate.hbm_seconds, rate(rates.hbm_bytes_per_second / 1e9, "GB/s"));
    line("compute", estimate.compute_seconds, rate(rates.flops_per_second / 1e12, "Tflop/s"));
    line("interconnect", estimate.link_seconds, rate(rates.link_bytes_per_second / 1e9, "GB/s"));
    line("lower bound", estimate.lower_bound_seconds, "as if all overlapped".to_string());
    line("step", estimate.seconds, "one instruction after another".to_string());
    table.to_string()
}

fn caveats(program: &Inspection) -> String {
    let lines = program.caveats.iter().map(|caveat| format!("  {caveat}\n"));
    if program.caveats.is_empty() { String::new() } else { format!("To know\n{}", lines.collect::<String>()) }
}
