//! Custom calls: functions of this program that compiled programs call.

use std::fmt;

use crate::ffi::custom_call::{self, Frame};
use crate::{Element, ElementType, Plugin, Result};

/// A function that a compiled program calls by name, in place of `stablehlo.custom_call` with `api_version = 4`.
///
/// It runs on a thread of the plugin's, and at the same time as others of its kind.
pub trait CustomCall {
    /// The call's target.
    const NAME: &'static str;

    /// Computes the results from the operands.
    ///
    /// # Errors
    /// Whatever stands in the way; the execution then fails with it.
    fn call(call: &mut Call<'_>) -> std::result::Result<(), CallError>;
}

/// Why a custom call cannot do its work.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallError(String);

impl CallError {
    /// With a message for the user.
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

/// Operands, results and attributes of a call.
pub struct Call<'a> {
    frame: Frame<'a>,
}

/// An operand: dense, in row-major order.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a, T> {
    /// Size along each axis.
    pub dims: &'a [i64],
    /// Elements.
    pub elements: &'a [T],
}

/// An operand that becomes a result: dense, in row-major order.
#[derive(Debug)]
pub struct Updated<'a, T> {
    /// Size along each axis.
    pub dims: &'a [i64],
    /// Elements: the operand's, to be changed into the result's.
    pub elements: &'a mut [T],
}

impl<'a> Call<'a> {
    pub(crate) fn new(frame: Frame<'a>) -> Self {
        Self { frame }
    }

    /// The element type of an operand; `None` if there is no such operand.
    pub fn operand_type(&self, index: usize) -> Option<ElementType> {
        self.frame.operand(index).map(|array| array.element_type)
    }

    /// The element type of a result; `None` if there is no such result.
    pub fn result_type(&self, index: usize) -> Option<ElementType> {
        self.frame.result_type(index)
    }

    /// An operand.
    ///
    /// # Errors
    /// If there is none of this number, its elements are not `T`s, or its memory is also that of a result.
    pub fn operand<T: Element>(&self, index: usize) -> std::result::Result<Operand<'a, T>, CallError> {
        if self.frame.becomes_a_result(index) {
            return Err(CallError(format!("operand {index} is changed in place")));
        }
        let array =
            self.frame.operand(index).ok_or_else(|| CallError(format!("there is no operand {index}")))?;
        let elements = array.elements().ok_or_else(|| {
            CallError(format!("operand {index} holds {}, not {}", array.element_type, T::NAME))
        })?;
        Ok(Operand { dims: array.dims, elements })
    }

    /// The elements of a result, row-major, to be written. What they hold before is unspecified.
    ///
    /// # Errors
    /// If there is none of this number, or its elements are not `T`s.
    pub fn result<T: Element>(&mut self, index: usize) -> std::result::Result<&mut [T], CallError> {
        let found = self.frame.result_type(index);
        let found = found.ok_or_else(|| CallError(format!("there is no result {index}")))?;
        let elements = self.frame.result_mut(index);
        elements.ok_or_else(|| CallError(format!("result {index} holds {found}, not {}", T::NAME)))
    }

    /// The elements of an operand that the program has this call change in place, so that they become a result.
    ///
    /// # Errors
    /// If there is no such operand or result, they are two arrays after all, or their elements are not `T`s.
    pub fn updated<T: Element>(
        &mut self,
        operand: usize,
        result: usize,
    ) -> std::result::Result<Updated<'_, T>, CallError> {
        let array = self.frame.operand(operand);
        let dims = array.filter(|array| self.frame.is_result(array, result)).map(|array| array.dims);
        let dims =
            dims.ok_or_else(|| CallError(format!("operand {operand} does not become result {result}")))?;
        Ok(Updated { dims, elements: self.result(result)? })
    }

    /// An integer attribute; `None` if there is none of this name.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.frame.integer(name)
    }

    /// A float attribute; `None` if there is none of this name.
    pub fn float(&self, name: &str) -> Option<f64> {
        self.frame.float(name)
    }
}

impl Plugin {
    /// Makes `K` known to the plugin, for programs that run on host memory. Programs that call it must be compiled or
    /// loaded after that. It stays known until the process ends, and doing so again changes nothing. On any thread, at
    /// any time: it waits for programs that are being compiled or loaded, which read what it changes.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Error::Unsupported) if the plugin does not take custom calls, and its own error if it
    /// refuses this one, as when the name is taken.
    pub fn register_custom_call<K: CustomCall>(&self) -> Result<()> {
        custom_call::register::<K>(self.api(), "Host")
    }
}
