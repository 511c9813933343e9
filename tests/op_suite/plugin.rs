//! The CPU plugin, and arrays on their way to it and back.

use std::sync::OnceLock;

use lapidary::graph::interp::Tensor;
use lapidary::graph::{DType, TensorType};
use lapidary::runtime::{
    Argument, Buffer, Client, ClientOptions, Device, ElementType, LoadedExecutable, Plugin,
};

/// Virtual devices of [`cpu_client`]; what is not sharded runs on the first.
const DEVICES: i64 = 8;

/// A client, shared by all tests; `None`, said aloud, if there is no plugin.
pub(crate) fn cpu_client() -> Option<Client> {
    static CLIENT: OnceLock<Option<Client>> = OnceLock::new();
    CLIENT.get_or_init(create).clone()
}

fn create() -> Option<Client> {
    let plugin = Plugin::load(crate::plugin_file::cpu_plugin()?).expect("the plugin loads");
    let options = ClientOptions::new().cpu_device_count(DEVICES);
    Some(Client::create(&plugin, &options).expect("a CPU client"))
}

/// Runs a program on these arguments.
pub(crate) fn run(
    executable: &LoadedExecutable,
    arguments: &[Tensor],
) -> lapidary::runtime::Result<Vec<Tensor>> {
    let device = &executable.addressable_devices()[0];
    let buffers = arguments
        .iter()
        .map(|tensor| upload(executable.client(), tensor, device))
        .collect::<Result<Vec<Buffer>, _>>()?;
    let outputs = executable.run(buffers.iter().map(Argument::from).collect())?;
    outputs.iter().map(download).collect()
}

/// A tensor on a device.
pub(crate) fn upload(client: &Client, tensor: &Tensor, device: &Device) -> lapidary::runtime::Result<Buffer> {
    client.buffer_from_host(&tensor.to_bytes(), element_type(tensor.dtype()), tensor.dims(), device)
}

/// An array on the host.
pub(crate) fn download(buffer: &Buffer) -> lapidary::runtime::Result<Tensor> {
    let dtype = DType::ALL.into_iter().find(|&d| element_type(d) == buffer.element_type()).unwrap();
    let ty = TensorType::new(dtype, buffer.dims());
    Ok(Tensor::from_bytes(ty, &buffer.to_host_bytes()?).unwrap())
}

fn element_type(dtype: DType) -> ElementType {
    *ElementType::ALL.iter().find(|e| e.name() == dtype.name()).unwrap()
}
