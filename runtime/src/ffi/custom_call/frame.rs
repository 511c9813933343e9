//! What a plugin hands to a handler, read with checks.

use std::ffi::{c_char, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::abi::{BUFFER, Buffer, Buffers, CallFrame, EXECUTE, SCALAR, Scalar};
use crate::ElementType;
use crate::ffi::copy_string;

/// A call with its operands, results and attributes. It lives as long as the call.
pub(crate) struct Frame<'a> {
    raw: &'a CallFrame,
}

/// An array of the plugin's.
pub(crate) struct RawArray<'a> {
    pub(crate) element_type: ElementType,
    pub(crate) dims: &'a [i64],
    data: *mut u8,
    _memory: PhantomData<&'a [u8]>,
}

impl<'a> Frame<'a> {
    /// The frame, if it is for the stage in which the operands can be read.
    ///
    /// # Safety
    /// What the frame points to is valid for its life, and no one else writes to the results meanwhile.
    pub(super) unsafe fn at_execution(raw: &'a CallFrame) -> Option<Self> {
        let known = std::mem::offset_of!(CallFrame, attributes) + size_of_val(&raw.attributes);
        (raw.stage == EXECUTE && raw.struct_size >= known).then_some(Self { raw })
    }

    pub(crate) fn operand(&self, index: usize) -> Option<RawArray<'a>> {
        // SAFETY: the promise of `at_execution`.
        unsafe { array(&self.raw.operands, index) }
    }

    /// Whether an operand is the same memory as the result of a number, in the same type and shape.
    pub(crate) fn is_result(&self, operand: &RawArray<'_>, index: usize) -> bool {
        // SAFETY: the promise of `at_execution`.
        unsafe { array(&self.raw.results, index) }.is_some_and(|result| {
            (result.data, result.element_type, result.dims)
                == (operand.data, operand.element_type, operand.dims)
        })
    }

    /// Whether the memory of an operand is also that of a result.
    pub(crate) fn becomes_a_result(&self, operand: usize) -> bool {
        let results = 0..usize::try_from(self.raw.results.len).unwrap_or(0);
        let Some(operand) = self.operand(operand) else { return false };
        // SAFETY: the promise of `at_execution`.
        let mut results = results.filter_map(|index| unsafe { array(&self.raw.results, index) });
        !operand.data.is_null() && results.any(|result| result.data == operand.data)
    }

    pub(crate) fn result_type(&self, index: usize) -> Option<ElementType> {
        // SAFETY: the promise of `at_execution`.
        unsafe { array(&self.raw.results, index) }.map(|array| array.element_type)
    }

    /// The elements of a result, to be written, if they are such as `T` can hold.
    pub(crate) fn result_mut<T: crate::Element>(&mut self, index: usize) -> Option<&mut [T]> {
        // SAFETY: the promise of `at_execution`.
        let array = unsafe { array(&self.raw.results, index) }?;
        let (data, len) = array.parts::<T>()?;
        // SAFETY: a result has memory for all its elements, and any bits are a `T`. The frame is borrowed for as long as
        // the slice lives, so that there is one at a time. It overlaps with no operand but one whose memory it takes over
        // as a whole, and callers do not make a slice of such a one.
        Some(unsafe { std::slice::from_raw_parts_mut(data.as_ptr(), len) })
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        let (element_type, value) = self.scalar(name)?;
        match element_type {
            // SAFETY: a scalar attribute points to a value of its type.
            ElementType::S64 => Some(unsafe { value.cast::<i64>().read_unaligned() }),
            // SAFETY: as above.
            ElementType::S32 => Some(unsafe { value.cast::<i32>().read_unaligned() }.into()),
            _ => None,
        }
    }

    pub(crate) fn float(&self, name: &str) -> Option<f64> {
        let (element_type, value) = self.scalar(name)?;
        match element_type {
            // SAFETY: a scalar attribute points to a value of its type.
            ElementType::F64 => Some(unsafe { value.cast::<f64>().read_unaligned() }),
            // SAFETY: as above.
            ElementType::F32 => Some(unsafe { value.cast::<f32>().read_unaligned() }.into()),
            _ => None,
        }
    }

    fn scalar(&self, name: &str) -> Option<(ElementType, *const u8)> {
        let attributes = &self.raw.attributes;
        let index = (0..usize::try_from(attributes.len).unwrap_or(0)).find(|&index| {
            // SAFETY: the promise of `at_execution`: there are `len` names.
            let span = unsafe { &**attributes.names.add(index) };
            // SAFETY: as above.
            unsafe { copy_string(span.data.cast::<c_char>(), span.len) == name }
        })?;
        // SAFETY: as above, for kinds and values; a value of this kind is a scalar.
        let scalar = unsafe {
            if *attributes.kinds.add(index) != SCALAR {
                return None;
            }
            (*attributes.values.add(index)).cast::<Scalar>().as_ref()?
        };
        Some((ElementType::from_primitive_type(scalar.element_type)?, scalar.value.cast()))
    }
}

/// # Safety
/// The buffers are valid for `'a`.
unsafe fn array<'a>(buffers: &Buffers, index: usize) -> Option<RawArray<'a>> {
    if index >= usize::try_from(buffers.len).unwrap_or(0) {
        return None;
    }
    // SAFETY: the caller's promise: there are `len` of each.
    let (kind, buffer): (c_int, *const Buffer) =
        unsafe { (*buffers.kinds.add(index), *buffers.buffers.add(index)) };
    // SAFETY: as above.
    let buffer = unsafe { buffer.as_ref() }.filter(|_| kind == BUFFER)?;
    let rank = usize::try_from(buffer.rank).ok()?;
    // SAFETY: as above: `rank` sizes, which may be at null where there are none.
    let dims = if rank == 0 { &[] } else { unsafe { std::slice::from_raw_parts(buffer.dims, rank) } };
    let element_type = ElementType::from_primitive_type(buffer.element_type)?;
    Some(RawArray { element_type, dims, data: buffer.data.cast(), _memory: PhantomData })
}

impl<'a> RawArray<'a> {
    /// The elements, if they are such as `T` can hold, and aligned as it is.
    pub(crate) fn elements<T: crate::Element>(&self) -> Option<&'a [T]> {
        let (data, len) = self.parts::<T>()?;
        // SAFETY: a buffer has memory for all its elements; any bits are a `T`.
        Some(unsafe { std::slice::from_raw_parts(data.as_ptr(), len) })
    }

    fn parts<T: crate::Element>(&self) -> Option<(NonNull<T>, usize)> {
        let mut sizes = self.dims.iter().map(|&dim| usize::try_from(dim).ok());
        let len = sizes.try_fold(1usize, |len, dim| len.checked_mul(dim?))?;
        let data = if len == 0 { NonNull::dangling() } else { NonNull::new(self.data.cast::<T>())? };
        (T::represents(self.element_type) && data.is_aligned()).then_some((data, len))
    }
}
