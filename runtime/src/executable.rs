//! Executables: compiled programs, and what the compiler says of them.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use prost::Message;

use crate::execution::{DeferredError, check_arguments};
use crate::ffi::executable::{RawExecutable, RawLoadedExecutable};
use crate::proto::hlo::{HloModuleProto, HloModuleProtoWithConfig, ShapeProto};
use crate::{
    Argument, ArgumentsProblem, Attributes, Buffer, Client, Device, ElementType, Error, Execution,
    OptimizedProgram, Result, Shape,
};

/// Memory that a program needs on one device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompiledMemoryStats {
    /// Compiled code.
    pub generated_code_bytes: i64,
    /// Arguments.
    pub argument_bytes: i64,
    /// Outputs.
    pub output_bytes: i64,
    /// Arguments that outputs reuse (donation).
    pub alias_bytes: i64,
    /// Intermediate values.
    pub temp_bytes: i64,
    /// Compiled code in host memory.
    pub host_generated_code_bytes: i64,
    /// Arguments in host memory.
    pub host_argument_bytes: i64,
    /// Outputs in host memory.
    pub host_output_bytes: i64,
    /// Arguments in host memory that outputs reuse.
    pub host_alias_bytes: i64,
    /// Intermediate values in host memory.
    pub host_temp_bytes: i64,
    /// The most in use at any time; 0 if the plugin does not say.
    pub peak_bytes: i64,
}

/// A parameter of a compiled program, on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Shape, after partitioning.
    pub shape: Shape,
    /// The output that takes over the parameter's memory if the argument is donated.
    pub aliased_output: Option<usize>,
}

/// A compiled program. It knows what it computes but is not loaded on any device.
pub struct Executable {
    raw: RawExecutable,
    name: String,
    num_outputs: usize,
    parameters: OnceLock<Option<Vec<Parameter>>>,
}

impl Executable {
    pub(crate) fn new(raw: RawExecutable) -> Result<Self> {
        let (name, num_outputs) = (raw.name()?, raw.num_outputs()?);
        Ok(Self { raw, name, num_outputs, parameters: OnceLock::new() })
    }

    /// Name of the program, that of its module.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of outputs on each device.
    pub fn num_outputs(&self) -> usize {
        self.num_outputs
    }

    /// Number of replicas.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn num_replicas(&self) -> Result<usize> {
        self.raw.num_replicas()
    }

    /// Number of partitions of each replica.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn num_partitions(&self) -> Result<usize> {
        self.raw.num_partitions()
    }

    /// Shape of each output on one device.
    ///
    /// # Errors
    /// If the plugin fails, or an output has a type that this crate lacks.
    pub fn output_shapes(&self) -> Result<Vec<Shape>> {
        self.raw.output_shapes()
    }

    /// Kind of memory that each output lies in, e.g. `device`.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn output_memory_kinds(&self) -> Result<Vec<String>> {
        self.raw.output_memory_kinds()
    }

    /// The parameters on one device, read from the optimised program; `None` where the plugin does not give
    /// that.
    ///
    /// # Errors
    /// If the plugin fails, or its answer does not decode.
    pub fn parameters(&self) -> Result<Option<&[Parameter]>> {
        if let Some(parameters) = self.parameters.get() {
            return Ok(parameters.as_deref());
        }
        let parameters = match self.optimized_program() {
            Err(error) if error.is_unsupported() => None,
            program => read_parameters(&program?)?,
        };
        Ok(self.parameters.get_or_init(|| parameters).as_deref())
    }

    /// Takes what [`parameters`](Self::parameters) were when the same executable was asked before. What the plugin has already
    /// said goes first.
    pub(crate) fn remember_parameters(&self, parameters: Option<Vec<Parameter>>) {
        let _ = self.parameters.set(parameters);
    }

    /// Estimates of the compiler for one run, e.g. `flops` and `bytes accessed`. The body of a loop counts
    /// once. Some plugins do not implement it.
    ///
    /// # Errors
    /// If the plugin fails or does not implement it.
    pub fn cost_analysis(&self) -> Result<Attributes> {
        self.raw.cost_analysis()
    }

    /// Memory needed on one device.
    ///
    /// # Errors
    /// If the plugin fails or does not implement it.
    pub fn memory_stats(&self) -> Result<CompiledMemoryStats> {
        self.raw.memory_stats()
    }

    /// Size of the compiled code; `None` where the plugin does not say.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn generated_code_bytes(&self) -> Result<Option<i64>> {
        Ok(Some(self.raw.generated_code_bytes()?).filter(|&bytes| bytes >= 0))
    }

    /// The program after the compiler's optimisations.
    ///
    /// # Errors
    /// If the plugin fails or does not implement it.
    pub fn optimized_program(&self) -> Result<OptimizedProgram> {
        self.raw.optimized_program()
    }

    /// Bytes that are equal for equal programs, options and compilers. GPU plugins leave the device out, so
    /// that it is no cache key by itself.
    ///
    /// # Errors
    /// If the plugin fails or does not implement it.
    pub fn fingerprint(&self) -> Result<Vec<u8>> {
        self.raw.fingerprint()
    }

    /// The program in a form that [`Client::load_executable`] reads, with the same version of the same
    /// plugin. The bytes of two compilations of one program may differ.
    ///
    /// # Errors
    /// If the plugin fails or does not implement it.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        self.raw.serialize()
    }
}

impl fmt::Debug for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executable")
            .field("name", &self.name)
            .field("num_outputs", &self.num_outputs)
            .finish_non_exhaustive()
    }
}

/// The parameters of an HLO program; `None` if it is in another format or has a parameter that is no array.
fn read_parameters(program: &OptimizedProgram) -> Result<Option<Vec<Parameter>>> {
    let decode = |source| Error::Decode { what: "optimized program", source };
    let module = match program.format.as_str() {
        "hlo" => Some(HloModuleProto::decode(program.code.as_slice()).map_err(decode)?),
        "hlo_with_config" => {
            HloModuleProtoWithConfig::decode(program.code.as_slice()).map_err(decode)?.hlo_module
        }
        _ => None,
    };
    let Some(module) = module else { return Ok(None) };
    let Some(signature) = module.host_program_shape else { return Ok(None) };
    let Some(shapes) = signature.parameters.iter().map(read_shape).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let mut parameters =
        shapes.into_iter().map(|shape| Parameter { shape, aliased_output: None }).collect::<Vec<_>>();
    for entry in module.input_output_alias.unwrap_or_default().entries {
        let output = entry.output_shape_index.first().copied().unwrap_or(0);
        let index = usize::try_from(entry.parameter_number).ok();
        if let Some(parameter) = index.and_then(|index| parameters.get_mut(index)) {
            parameter.aliased_output = usize::try_from(output).ok();
        }
    }
    Ok(Some(parameters))
}

fn read_shape(shape: &ShapeProto) -> Option<Shape> {
    let element_type = ElementType::from_primitive_type(shape.element_type)?;
    let dims = shape.dimensions.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<Vec<_>>>()?;
    Some(Shape { element_type, dims })
}

/// A compiled program on its devices, ready to run. It dereferences to its [`Executable`].
pub struct LoadedExecutable {
    raw: RawLoadedExecutable,
    executable: Executable,
    client: Client,
    addressable_devices: Vec<Device>,
    deferred: Arc<DeferredError>,
    /// Kept here because the CPU plugin ignores deletion.
    deleted: AtomicBool,
}

impl LoadedExecutable {
    pub(crate) fn new(client: &Client, raw: RawLoadedExecutable) -> Result<Self> {
        let addressable_devices = raw
            .addressable_devices()?
            .iter()
            .map(|device| client.device_of(device))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            executable: Executable::new(raw.executable()?)?,
            raw,
            client: client.clone(),
            addressable_devices,
            deferred: Arc::default(),
            deleted: AtomicBool::new(false),
        })
    }

    /// The client that it is loaded in.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The devices of this process that it runs on, in the order of the argument lists.
    pub fn addressable_devices(&self) -> &[Device] {
        &self.addressable_devices
    }

    /// Starts an execution on all addressable devices. `arguments` has a list for each of
    /// [`addressable_devices`](Self::addressable_devices), in that order.
    ///
    /// Returns at once; the outputs can be passed on to other executions before they are computed. Donated
    /// arguments are gone even if this fails.
    ///
    /// # Errors
    /// [`Error::Arguments`] if the arguments do not fit the program's parameters as far as the plugin tells
    /// them, [`Error::ForeignClient`], [`Error::EarlierExecution`] if an execution failed whose completion was
    /// dropped, and the plugin's error. Errors of the computation come from [`Execution::wait`].
    pub fn execute(&self, arguments: Vec<Vec<Argument<'_>>>) -> Result<Execution> {
        if let Some(source) = self.deferred.take() {
            return Err(Error::EarlierExecution {
                executable: self.name().to_owned(),
                source: Box::new(source),
            });
        }
        let non_donatable = check_arguments(self, &arguments)?;
        let raw_arguments = arguments
            .iter()
            .map(|list| list.iter().map(|argument| argument.buffer().raw()).collect::<Vec<_>>())
            .collect::<Vec<_>>();
        let raw = self.raw.execute(&raw_arguments, &non_donatable, self.num_outputs)?;
        Execution::new(&self.client, raw, &self.deferred)
    }

    /// Runs the program on its one addressable device and waits for it.
    ///
    /// # Errors
    /// As [`execute`](Self::execute) and [`Execution::wait`].
    pub fn run(&self, arguments: Vec<Argument<'_>>) -> Result<Vec<Buffer>> {
        let mut outputs = self.execute(vec![arguments])?.wait()?;
        Ok(outputs.pop().unwrap_or_default())
    }

    /// Unloads the program before it is dropped. Executions in flight go on; further ones are errors.
    ///
    /// # Errors
    /// If the plugin fails.
    pub fn delete(&self) -> Result<()> {
        self.deleted.store(true, Ordering::Release);
        self.raw.delete()
    }

    /// Whether [`delete`](Self::delete) was called.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub(crate) fn arguments_error(&self, problem: ArgumentsProblem) -> Error {
        Error::Arguments { executable: self.name().to_owned(), problem }
    }
}

impl Deref for LoadedExecutable {
    type Target = Executable;

    fn deref(&self) -> &Executable {
        &self.executable
    }
}

impl fmt::Debug for LoadedExecutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedExecutable")
            .field("name", &self.name())
            .field("addressable_devices", &self.addressable_devices)
            .finish_non_exhaustive()
    }
}
