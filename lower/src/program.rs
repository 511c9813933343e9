//! The module and its functions.

use lapidary_graph::verify::VerifiedModule;
use lapidary_graph::{FuncId, Function, Module, TensorType};

use crate::emit::Emitter;
use crate::mlir::{Location, Name, Type, Value, Writer};
use crate::sharding::{Placement, Sharding, entry_shardings};
use crate::{LowerError, LoweredComposite, Mesh, ShardingRules, Target};

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

/// A program, and what was decided on the way to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lowered {
    /// StableHLO.
    pub text: String,
    /// What became of each composite, in the order of the text. One in a loop is one, however often the loop runs, and
    /// those within a decomposition come after what was decomposed.
    pub composites: Vec<LoweredComposite>,
}

/// The StableHLO text of a verified module, with `main` as the entry.
///
/// The same module and options always give the same text.
///
/// # Errors
/// If the module has no entry, a constant is too large for program text, functions are nested absurdly
/// deeply, or the mesh has an axis that no rule uses.
pub fn lower(module: VerifiedModule<'_>, options: &LowerOptions<'_>) -> Result<String, LowerError> {
    lower_and_tell(module, options).map(|lowered| lowered.text)
}

/// The same, and which composites are calls of kernels.
///
/// # Errors
/// As [`lower`].
pub fn lower_and_tell(module: VerifiedModule<'_>, options: &LowerOptions<'_>) -> Result<Lowered, LowerError> {
    let module = module.module();
    let entry = module.entry().ok_or_else(|| LowerError::NoEntry { module: module.name.clone() })?;
    let placement = entry_placement(module, entry, options)?;
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
        let interface = Interface::of(emitter.function(callee)?);
        emitter.definition("private", callee, &interface)?;
        next += 1;
    }
    emitter.writer.dedent();
    emitter.writer.line(format_args!("}}"))?;
    let composites = std::mem::take(&mut emitter.composites);
    Ok(Lowered { text, composites })
}

/// The mesh, rules and entry of a module that runs on several devices.
fn entry_placement<'a>(
    module: &'a Module,
    entry: FuncId,
    options: &LowerOptions<'a>,
) -> Result<Option<Placement<'a>>, LowerError> {
    match (options.mesh, module.function(entry)) {
        (Some(mesh), Some(entry)) => Placement::new(mesh, options.rules, module, entry).map(Some),
        _ => Ok(None),
    }
}

/// A function's parameters and results as its callers see them.
struct Interface {
    params: Vec<Boundary>,
    results: Vec<Boundary>,
}

/// A parameter or result.
struct Boundary {
    /// The value's type.
    ty: TensorType,
    /// Attributes, as text.
    attributes: Vec<String>,
    /// How the value is split over the mesh.
    sharding: Option<Sharding>,
}

impl Boundary {
    fn new(ty: TensorType) -> Self {
        Self { ty, attributes: Vec::new(), sharding: None }
    }

    /// The sharding, if its shards are larger than the value.
    fn padded(&self) -> Option<&Sharding> {
        self.sharding.as_ref().filter(|sharding| sharding.is_padded())
    }

    /// The type that callers see.
    fn outer_type(&self) -> TensorType {
        match self.padded() {
            Some(sharding) => self.ty.with_dims(sharding.padded_shape()),
            None => self.ty.clone(),
        }
    }

    fn shard(&mut self, placement: &Placement<'_>, sharding: Sharding) {
        self.attributes.push(format!("sdy.sharding = #sdy.sharding{}", placement.constraint(&sharding)));
        self.sharding = Some(sharding);
    }
}

impl Interface {
    fn of(function: &Function) -> Self {
        let ty = function.ty();
        Self {
            params: ty.params.into_iter().map(Boundary::new).collect(),
            results: ty.results.into_iter().map(Boundary::new).collect(),
        }
    }

    fn of_entry(emitter: &Emitter<'_>, entry: FuncId) -> Result<Self, LowerError> {
        let function = emitter.function(entry)?;
        let mut interface = Self::of(function);
        if let Some(placement) = emitter.placement {
            let shardings = entry_shardings(function, placement.mesh, placement.rules);
            let boundaries = interface.params.iter_mut().chain(&mut interface.results);
            for (boundary, sharding) in boundaries.zip(shardings.params.into_iter().chain(shardings.results))
            {
                boundary.shard(placement, sharding);
            }
        }
        for (param, boundary) in function.params.iter().zip(&mut interface.params) {
            let Some(result) = param.donated_to else { continue };
            let taker = interface.results.get(result).and_then(|result| result.sharding.as_ref());
            let same_shards = taker.map(Sharding::dims) == boundary.sharding.as_ref().map(Sharding::dims);
            // A buffer can only become a result that is split the same way; otherwise it is free to reuse.
            boundary.attributes.push(if same_shards {
                format!("tf.aliasing_output = {result} : i32")
            } else {
                "jax.buffer_donor = true".to_string()
            });
        }
        Ok(interface)
    }
}

impl Emitter<'_> {
    /// Writes a function definition.
    fn definition(&mut self, visibility: &str, id: FuncId, interface: &Interface) -> Result<(), LowerError> {
        let function = self.function(id)?;
        self.writer.restart_numbering();
        self.writer.start_line()?;
        self.writer.text(format_args!("func.func {visibility} @{}(", function.name))?;
        let mut arguments = Vec::new();
        for (i, (param, boundary)) in function.params.iter().zip(&interface.params).enumerate() {
            let argument = Value { name: Name::Argument(i), ty: boundary.outer_type() };
            let comma = if i == 0 { "" } else { ", " };
            self.writer.text(format_args!("{comma}{}: {}", argument.name, Type(&argument.ty)))?;
            self.attribute_dictionary(&boundary.attributes)?;
            if !param.name.is_empty() {
                let location = Location { path: "", op: &param.name };
                self.writer.text(format_args!(" {location}"))?;
            }
            arguments.push(argument);
        }
        self.writer.text(format_args!(") -> ("))?;
        for (i, boundary) in interface.results.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            self.writer.text(format_args!("{comma}{}", Type(&boundary.outer_type())))?;
            self.attribute_dictionary(&boundary.attributes)?;
        }
        self.writer.text(format_args!(") {{\n"))?;
        self.writer.indent();
        for (argument, boundary) in arguments.iter_mut().zip(&interface.params) {
            if let Some(sharding) = boundary.padded() {
                *argument = self.without_padding(argument.clone(), &boundary.ty, sharding)?;
            }
        }
        let mut results = self.inline(id, &arguments)?;
        for (result, boundary) in results.iter_mut().zip(&interface.results) {
            if let Some(sharding) = boundary.padded() {
                *result = self.with_padding(result.clone(), sharding)?;
            }
        }
        self.return_values("return", &results)?;
        self.writer.dedent();
        self.writer.line(format_args!("}}"))
    }

    fn attribute_dictionary(&mut self, attributes: &[String]) -> Result<(), LowerError> {
        if attributes.is_empty() {
            return Ok(());
        }
        self.writer.text(format_args!(" {{{}}}", attributes.join(", ")))
    }
}
