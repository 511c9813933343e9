//! Moving arrays between host and device on the CPU plugin.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{compile, upload};
use half::{bf16, f16};
use lapidary_runtime::{Argument, Client, ClientOptions, Element, ElementType, Error, SharedBytes};

const INCREMENT: &str = "module @increment {
  func.func @main(%x: tensor<1024xf32> {tf.aliasing_output = 0 : i32}) -> tensor<1024xf32> {
    %one = stablehlo.constant dense<1.0> : tensor<1024xf32>
    %sum = stablehlo.add %x, %one : tensor<1024xf32>
    return %sum : tensor<1024xf32>
  }
}";

/// A thousand steps over a million elements: long enough to be running still when `execute` returns.
const SLOW: &str = "module @slow {
  func.func @main(%x: tensor<1048576xf32>) -> tensor<1048576xf32> {
    %i0 = stablehlo.constant dense<0> : tensor<i32>
    %zero = stablehlo.constant dense<0.0> : tensor<1048576xf32>
    %r:3 = stablehlo.while(%i = %i0, %acc = %zero, %in = %x)
        : tensor<i32>, tensor<1048576xf32>, tensor<1048576xf32>
      cond {
        %n = stablehlo.constant dense<1000> : tensor<i32>
        %p = stablehlo.compare LT, %i, %n : (tensor<i32>, tensor<i32>) -> tensor<i1>
        stablehlo.return %p : tensor<i1>
      } do {
        %one = stablehlo.constant dense<1> : tensor<i32>
        %next = stablehlo.add %i, %one : tensor<i32>
        %sum = stablehlo.add %acc, %in : tensor<1048576xf32>
        stablehlo.return %next, %sum, %in : tensor<i32>, tensor<1048576xf32>, tensor<1048576xf32>
      }
    return %r#1 : tensor<1048576xf32>
  }
}";

/// Host memory at a chosen offset from a 64-byte boundary, which says when it is dropped.
struct Memory {
    storage: Vec<u8>,
    start: usize,
    len: usize,
    dropped: Arc<AtomicBool>,
}

impl Memory {
    fn new(contents: &[u8], misalignment: usize) -> (Arc<Self>, Arc<AtomicBool>) {
        let mut storage = vec![0u8; contents.len() + 128];
        let start = storage.as_ptr().align_offset(64) + misalignment;
        storage[start..start + contents.len()].copy_from_slice(contents);
        let dropped = Arc::new(AtomicBool::new(false));
        let memory = Self { storage, start, len: contents.len(), dropped: dropped.clone() };
        (Arc::new(memory), dropped)
    }
}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A reader that comes too late finds rubbish.
        self.storage.fill(0xff);
        self.dropped.store(true, Ordering::SeqCst);
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn every_element_type_round_trips() {
    let client = require_cpu_client!();
    let device = &client.addressable_devices()[0];
    for &element_type in ElementType::ALL {
        for dims in [vec![], vec![1], vec![7], vec![3, 5], vec![2, 3, 4, 5], vec![0], vec![4, 0, 2]] {
            let count = dims.iter().product::<usize>();
            let bytes = (0..count * element_type.host_bytes())
                .map(|index| match element_type {
                    ElementType::Pred => (index % 2) as u8,
                    ElementType::U4 => (index % 16) as u8,
                    // In the host's form a negative 4-bit integer is sign-extended.
                    ElementType::S4 => ((index % 16) as i8 - 8) as u8,
                    _ => (index * 37 + 11) as u8,
                })
                .collect::<Vec<_>>();
            let buffer = client.buffer_from_host(&bytes, element_type, &dims, device).unwrap();
            assert_eq!(buffer.element_type(), element_type);
            assert_eq!(buffer.dims(), dims);
            assert_eq!(buffer.to_host_bytes().unwrap(), bytes, "{}", buffer.shape());
            let mut again = vec![0xaa; bytes.len()];
            buffer.read_into(&mut again).unwrap();
            assert_eq!(again, bytes);
        }
    }
}

#[test]
fn elements_are_read_as_the_type_that_represents_them() {
    let client = require_cpu_client!();
    fn check<T: Element + PartialEq + std::fmt::Debug>(
        client: &Client,
        element_type: ElementType,
        values: [T; 2],
    ) {
        let buffer = upload(client, &values, element_type, &[2]);
        assert_eq!(buffer.to_vec::<T>().unwrap(), values);
    }
    check(&client, ElementType::Pred, [0u8, 1]);
    check(&client, ElementType::S4, [-8i8, 7]);
    check(&client, ElementType::U4, [0u8, 15]);
    check(&client, ElementType::S8, [i8::MIN, i8::MAX]);
    check(&client, ElementType::S16, [i16::MIN, i16::MAX]);
    check(&client, ElementType::S32, [i32::MIN, i32::MAX]);
    check(&client, ElementType::S64, [i64::MIN, i64::MAX]);
    check(&client, ElementType::U8, [0u8, u8::MAX]);
    check(&client, ElementType::U16, [0u16, u16::MAX]);
    check(&client, ElementType::U32, [0u32, u32::MAX]);
    check(&client, ElementType::U64, [0u64, u64::MAX]);
    check(&client, ElementType::BF16, [bf16::MIN_POSITIVE, bf16::MAX]);
    check(&client, ElementType::F16, [f16::MIN_POSITIVE, f16::MAX]);
    check(&client, ElementType::F32, [f32::MIN_POSITIVE, f32::INFINITY]);
    check(&client, ElementType::F64, [f64::MIN_POSITIVE, f64::NEG_INFINITY]);

    let buffer = upload(&client, &[1.0f32], ElementType::F32, &[1]);
    let error = buffer.to_vec::<i32>().unwrap_err();
    assert!(matches!(error, Error::ElementTypeMismatch { requested: "i32", .. }), "{error}");
}

#[test]
fn host_data_of_the_wrong_size_is_refused() {
    let client = require_cpu_client!();
    let device = &client.addressable_devices()[0];
    let upload =
        |bytes: &[u8], dims: &[usize]| client.buffer_from_host(bytes, ElementType::F32, dims, device);
    for (len, dims) in [(23, vec![2, 3]), (25, vec![2, 3]), (0, vec![]), (4, vec![0])] {
        let error = upload(&vec![0; len], &dims).unwrap_err();
        assert!(matches!(error, Error::HostSize { .. }), "{error}");
    }
    for dims in [vec![usize::MAX, 2], vec![usize::MAX], vec![1 << 62, 2]] {
        assert!(matches!(upload(&[], &dims), Err(Error::ShapeTooLarge { .. })));
    }
    let buffer = upload(&[0; 24], &[2, 3]).unwrap();
    assert!(matches!(buffer.read_into(&mut [0; 23]), Err(Error::HostSize { expected: 24, found: 23, .. })));
}

#[test]
fn strides_are_followed_and_checked() {
    let client = require_cpu_client!();
    let device = &client.addressable_devices()[0];
    let values = [1i32, 2, 3, 4, 5, 6];
    let bytes: &[u8] = bytemuck::cast_slice(&values);
    let upload = |dims: &[usize], strides: &[usize]| {
        client.buffer_from_host_strided(bytes, ElementType::S32, dims, strides, device)
    };
    let transposed = upload(&[3, 2], &[4, 12]).unwrap();
    assert_eq!(transposed.to_vec::<i32>().unwrap(), [1, 4, 2, 5, 3, 6]);
    let column = upload(&[2], &[12]).unwrap();
    assert_eq!(column.to_vec::<i32>().unwrap(), [1, 4]);
    let repeated = upload(&[2, 3], &[0, 4]).unwrap();
    assert_eq!(repeated.to_vec::<i32>().unwrap(), [1, 2, 3, 1, 2, 3]);

    for (dims, strides) in [
        (vec![3, 2], vec![4, 16]),
        (vec![3, 2], vec![4]),
        (vec![2], vec![usize::MAX]),
        (vec![2, 2], vec![1 << 63, 1 << 63]),
        (vec![2, 3], vec![12, 3]),
    ] {
        let error = upload(&dims, &strides).unwrap_err();
        assert!(matches!(error, Error::HostStrides { .. }), "{error}");
    }
}

#[test]
fn aligned_memory_is_read_in_place_and_other_memory_copied() {
    let client = require_cpu_client!();
    let device = &client.addressable_devices()[0];
    let contents = (0..=255).cycle().take(4096).collect::<Vec<u8>>();
    for (misalignment, zero_copy) in [(0, true), (8, false), (4, false)] {
        let (memory, dropped) = Memory::new(&contents, misalignment);
        let address = memory.as_ref().as_ref().as_ptr() as usize;
        let shared = SharedBytes::new(memory);
        let buffer = client.buffer_from_shared(&shared, ElementType::F32, &[1024], device).unwrap();
        drop(shared);
        assert_eq!(buffer.is_zero_copy(), zero_copy, "misaligned by {misalignment}");
        assert_eq!(buffer.device_address().unwrap() == address, zero_copy);
        assert_eq!(buffer.to_host_bytes().unwrap(), contents);
        if zero_copy {
            assert!(!dropped.load(Ordering::SeqCst), "the buffer still reads it");
        } else {
            wait_until("letting go of copied memory", || dropped.load(Ordering::SeqCst));
            assert_eq!(buffer.to_host_bytes().unwrap(), contents);
        }
        drop(buffer);
        wait_until("letting go of the memory", || dropped.load(Ordering::SeqCst));
    }
}

#[test]
fn a_part_of_shared_memory_makes_a_buffer() {
    let client = require_cpu_client!();
    let device = &client.addressable_devices()[0];
    let contents = (0..=255).cycle().take(4096).collect::<Vec<u8>>();
    let (memory, _) = Memory::new(&contents, 0);
    assert!(SharedBytes::slice(memory.clone(), 4000..4097).is_none());
    let shared = SharedBytes::slice(memory, 64..128).unwrap();
    let buffer = client.buffer_from_shared(&shared, ElementType::U8, &[64], device).unwrap();
    assert!(buffer.is_zero_copy());
    assert_eq!(buffer.to_host_bytes().unwrap(), contents[64..128]);
    let wrong = client.buffer_from_shared(&shared, ElementType::U8, &[65], device);
    assert!(matches!(wrong, Err(Error::HostSize { .. })));
}

#[test]
fn shared_memory_is_never_written_to() {
    let client = require_cpu_client!();
    let device = &client.addressable_devices()[0];
    let executable = compile(&client, INCREMENT);
    let values = [1.0f32; 1024];
    let (memory, dropped) = Memory::new(bytemuck::cast_slice(&values), 0);
    let shared = SharedBytes::new(memory.clone());
    let buffer = client.buffer_from_shared(&shared, ElementType::F32, &[1024], device).unwrap();
    assert!(buffer.is_zero_copy());
    let outputs = executable.run(vec![Argument::Donated(buffer)]).unwrap();
    assert_eq!(outputs[0].to_vec::<f32>().unwrap(), [2.0; 1024]);
    assert_eq!((*memory).as_ref(), bytemuck::cast_slice::<f32, u8>(&values), "read-only, even if donated");
    drop((memory, shared));
    wait_until("letting go of donated memory", || dropped.load(Ordering::SeqCst));
}

#[test]
fn shared_memory_outlives_an_execution_in_flight() {
    let client = require_cpu_client!();
    let device = &client.addressable_devices()[0];
    let executable = compile(&client, SLOW);
    let values = vec![1.0f32; 1 << 20];
    let (memory, dropped) = Memory::new(bytemuck::cast_slice(&values), 0);
    let shared = SharedBytes::new(memory);
    let buffer = client.buffer_from_shared(&shared, ElementType::F32, &[1 << 20], device).unwrap();
    assert!(buffer.is_zero_copy());
    let (outputs, completion) = executable.execute(vec![vec![(&buffer).into()]]).unwrap().into_parts();
    drop((shared, buffer));
    let in_flight = !completion.is_ready().unwrap();
    assert!(in_flight, "the program must be slow enough for this test to mean something");
    assert!(!dropped.load(Ordering::SeqCst), "the execution still reads the memory");
    completion.wait().unwrap();
    assert_eq!(outputs[0][0].to_vec::<f32>().unwrap(), vec![1000.0; 1 << 20]);
    wait_until("letting go of the memory", || dropped.load(Ordering::SeqCst));
}

#[test]
fn everything_may_be_dropped_while_an_execution_is_in_flight() {
    let Some(plugin) = common::cpu_plugin() else { return };
    for _ in 0..2 {
        let client = Client::create(&plugin, &ClientOptions::new().cpu_device_count(1)).unwrap();
        let executable = compile(&client, SLOW);
        let values = vec![1.0f32; 1 << 20];
        let (memory, dropped) = Memory::new(bytemuck::cast_slice(&values), 0);
        let device = &client.addressable_devices()[0];
        let dims = [1 << 20];
        let buffer =
            client.buffer_from_shared(&SharedBytes::new(memory), ElementType::F32, &dims, device).unwrap();
        let execution = executable.execute(vec![vec![(&buffer).into()]]).unwrap();
        drop((buffer, executable, client));
        drop(execution);
        wait_until("letting go of the memory", || dropped.load(Ordering::SeqCst));
    }
}

#[test]
fn an_empty_part_of_shared_memory_makes_an_empty_buffer() {
    let client = require_cpu_client!();
    let device = &client.addressable_devices()[0];
    let (memory, _) = Memory::new(&[1, 2, 3], 0);
    for range in [0..0, 3..3] {
        let shared = SharedBytes::slice(memory.clone(), range).unwrap();
        let buffer = client.buffer_from_shared(&shared, ElementType::F32, &[4, 0], device).unwrap();
        assert!(buffer.to_vec::<f32>().unwrap().is_empty());
    }
}

#[test]
fn a_deleted_buffer_answers_with_errors() {
    let client = require_cpu_client!();
    let buffer = upload(&client, &[1.0f32; 4], ElementType::F32, &[4]);
    assert!(!buffer.is_deleted().unwrap());
    assert_eq!(buffer.on_device_size().unwrap(), 16);
    buffer.delete().unwrap();
    assert!(buffer.is_deleted().unwrap());
    assert!(buffer.to_vec::<f32>().is_err());
    assert!(buffer.ready().and_then(|ready| ready.wait()).is_err());
    assert!(buffer.copy_to_device(&client.addressable_devices()[1]).is_err());
    buffer.delete().unwrap();
}

#[test]
fn a_buffer_is_copied_to_another_device() {
    let client = require_cpu_client!();
    let device = &client.addressable_devices()[5];
    let buffer = upload(&client, &[1.0f32, 2.0], ElementType::F32, &[2]);
    let copy = buffer.copy_to_device(device).unwrap();
    copy.ready().unwrap().wait().unwrap();
    assert_eq!(copy.device().unwrap(), *device);
    assert_eq!(copy.memory().unwrap().kind, "device");
    assert_eq!(copy.to_vec::<f32>().unwrap(), [1.0, 2.0]);
    assert_eq!(buffer.to_vec::<f32>().unwrap(), [1.0, 2.0]);
}
