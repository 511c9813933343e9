//! The module and its functions.

use lapidary_graph::FuncId;
use lapidary_graph::verify::VerifiedModule;

use crate::emit::Emitter;
use crate::mlir::{Location, Name, Type, Value, Writer};
use crate::sharding::{EntryShardings, Placement, entry_shardings};
use crate::{LowerError, Mesh, ShardingRules, Target};

/// Where a program is to run.
#[derive(Clone, Copy, Debug)]
pub struct LowerOptions<'a> {
    /// The platform whose facts decide forms and kernels.
    pub target: &'a Target,
    /// The devices, if there are several.
    pub mesh: Option<&'a Mesh>,
    /// How logical axes are split over the mesh.
    pub rules: &'a ShardingRules,
}

/// The StableHLO text of a verified module, with `main` as the entry.
///
/// The same module and options always give the same text.
///
/// # Errors
/// If the module has no entry, a constant is too large for program text, functions are nested absurdly
/// deeply, or the mesh has an axis that no rule uses.
pub fn lower(module: VerifiedModule<'_>, options: &LowerOptions<'_>) -> Result<String, LowerError> {
    let module = module.module();
    let entry = module.entry().ok_or_else(|| LowerError::NoEntry { module: module.name.clone() })?;
    let placement = options.mesh.map(|mesh| Placement::new(mesh, options.rules, module)).transpose()?;
    let mut text = String::new();
    let mut emitter = Emitter::new(Writer::new(&mut text), module, options.target, placement.as_ref());

    let devices = options.mesh.map_or(1, Mesh::num_devices);
    emitter.writer.line(format_args!(
        "module @{} attributes {{mhlo.num_partitions = {devices} : i32, mhlo.num_replicas = 1 : i32}} {{",
        module.name
    ))?;
    emitter.writer.indent();
    if let Some(placement) = &placement {
        emitter.writer.line(format_args!("{}", placement.declaration()))?;
    }
    let interface = Interface::of_entry(&emitter, entry)?;
    emitter.definition("public", entry, &interface)?;
    // Functions that are called may call others.
    let mut next = 0;
    while let Some(&callee) = emitter.called.get(next) {
        emitter.definition("private", callee, &Interface::default())?;
        next += 1;
    }
    emitter.writer.dedent();
    emitter.writer.line(format_args!("}}"))?;
    Ok(text)
}

/// The attributes of a function's parameters and results, as text; absent ones are empty.
#[derive(Default)]
struct Interface {
    params: Vec<Vec<String>>,
    results: Vec<Vec<String>>,
}

impl Interface {
    fn of_entry(emitter: &Emitter<'_>, entry: FuncId) -> Result<Self, LowerError> {
        let function = emitter.function(entry)?;
        let mut interface = Self {
            params: vec![Vec::new(); function.params.len()],
            results: vec![Vec::new(); function.results.len()],
        };
        let shardings = emitter.placement.map(|placement| {
            let shardings = entry_shardings(function, placement.mesh, placement.rules);
            interface.add_shardings(placement, &shardings);
            shardings
        });
        for (i, (param, attributes)) in function.params.iter().zip(&mut interface.params).enumerate() {
            let Some(result) = param.donated_to else { continue };
            let same_shards = shardings.as_ref().is_none_or(|shardings| {
                match (shardings.params.get(i), shardings.results.get(result)) {
                    (Some(from), Some(to)) => from.mesh_axes().eq(to.mesh_axes()),
                    _ => false,
                }
            });
            // A buffer can only become a result that is split the same way; otherwise it is free to reuse.
            attributes.push(if same_shards {
                format!("tf.aliasing_output = {result} : i32")
            } else {
                "jax.buffer_donor = true".to_string()
            });
        }
        Ok(interface)
    }

    fn add_shardings(&mut self, placement: &Placement<'_>, shardings: &EntryShardings) {
        let params = self.params.iter_mut().zip(&shardings.params);
        let results = self.results.iter_mut().zip(&shardings.results);
        for (attributes, sharding) in params.chain(results) {
            attributes.push(format!("sdy.sharding = #sdy.sharding{}", placement.constraint(sharding)));
        }
    }
}

impl Emitter<'_> {
    /// Writes a function definition.
    fn definition(&mut self, visibility: &str, id: FuncId, interface: &Interface) -> Result<(), LowerError> {
        let function = self.function(id)?;
        let ty = function.ty();
        self.writer.restart_numbering();
        self.writer.start_line()?;
        self.writer.text(format_args!("func.func {visibility} @{}(", function.name))?;
        let mut arguments = Vec::new();
        for (i, (param, ty)) in function.params.iter().zip(ty.params).enumerate() {
            let argument = Value { name: Name::Argument(i), ty };
            let comma = if i == 0 { "" } else { ", " };
            self.writer.text(format_args!("{comma}{}: {}", argument.name, Type(&argument.ty)))?;
            self.attribute_dictionary(interface.params.get(i))?;
            if !param.name.is_empty() {
                let location = Location { path: "", op: &param.name };
                self.writer.text(format_args!(" {location}"))?;
            }
            arguments.push(argument);
        }
        self.writer.text(format_args!(") -> ("))?;
        for (i, ty) in ty.results.iter().enumerate() {
            self.writer.text(format_args!("{}{}", if i == 0 { "" } else { ", " }, Type(ty)))?;
            self.attribute_dictionary(interface.results.get(i))?;
        }
        self.writer.text(format_args!(") {{\n"))?;
        self.writer.indent();
        let results = self.inline(id, &arguments)?;
        self.return_values("return", &results)?;
        self.writer.dedent();
        self.writer.line(format_args!("}}"))
    }

    fn attribute_dictionary(&mut self, attributes: Option<&Vec<String>>) -> Result<(), LowerError> {
        match attributes {
            Some(attributes) if !attributes.is_empty() => {
                self.writer.text(format_args!(" {{{}}}", attributes.join(", ")))
            }
            _ => Ok(()),
        }
    }
}
