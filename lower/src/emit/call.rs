//! Calls: of functions, of named kernels, and composites, which are one or the other.

use lapidary_graph::{Attributes, FuncId, TensorType};

use super::{Emitter, Site};
use crate::mlir::{Dictionary, InPlace, Location, Quoted, RowMajor, Value};
use crate::target::Kernel;
use crate::{Decomposed, LowerError, LoweredComposite};

impl Emitter<'_> {
    /// A call of a function that the text has once.
    pub(super) fn call(&mut self, site: &Site<'_>, callee: FuncId) -> Result<Vec<Value>, LowerError> {
        let function = self.function(callee)?;
        if !self.called.contains(&callee) {
            self.called.push(callee);
        }
        self.generic(site, "func.call", format_args!("callee = @{}", function.name), &[])
    }

    /// A typed-FFI call: XLA hands the handler the attributes as a dictionary. The one result may be what the call makes
    /// of an operand in its own place.
    pub(super) fn custom_call(
        &mut self,
        site: &Site<'_>,
        target: &str,
        attributes: &Attributes,
        has_side_effect: bool,
        updates: Option<usize>,
    ) -> Result<Vec<Value>, LowerError> {
        let operands = site.operands.iter().map(|operand| operand.ty.rank());
        let results = site.results.iter().map(TensorType::rank);
        // Row-major: whoever is called knows no other layout, and the compiler may choose one where it is not told.
        let properties = format_args!(
            "api_version = 4 : i32, backend_config = {}, call_target_name = {}, \
             has_side_effect = {has_side_effect}, operand_layouts = {}{}, result_layouts = {}",
            Dictionary(attributes),
            Quoted(target),
            RowMajor(operands.collect()),
            InPlace(updates),
            RowMajor(results.collect()),
        );
        self.generic(site, "stablehlo.custom_call", properties, &[])
    }

    /// The target's kernel of this name if it has one for these operands, otherwise the decomposition.
    pub(super) fn composite(
        &mut self,
        site: &Site<'_>,
        name: &str,
        attributes: &Attributes,
        decomposition: FuncId,
    ) -> Result<Vec<Value>, LowerError> {
        let kernel = self.kernel(site, name, attributes);
        self.composites.push(LoweredComposite {
            composite: name.to_string(),
            path: site.location.path.to_string(),
            kernel: kernel.as_ref().map(|kernel| kernel.call_target).map_err(Clone::clone),
        });
        match kernel {
            Ok(kernel) => {
                let location = Location { op: name, ..site.location };
                let call = Site {
                    operands: site.operands.clone(),
                    results: site.results.clone(),
                    location,
                    function: site.function,
                };
                self.custom_call(&call, kernel.call_target, attributes, false, kernel.updates)
            }
            // In place rather than as a private function: XLA would inline it anyway, and the operations
            // keep locations of their own.
            Err(_) => {
                if let Some(write) = self.cache_write_by_selection(name, site) {
                    return self.selected_cache_write(site, &write);
                }
                let operands = self.operands_in_turn(site, name)?;
                self.inline(decomposition, &operands)
            }
        }
    }

    /// The kernel that a composite is to be a call of, or why it is none.
    fn kernel(&self, site: &Site<'_>, name: &str, attributes: &Attributes) -> Result<Kernel, Decomposed> {
        let kernel = self.target.kernel(name, &site.operand_types(), attributes)?;
        if self.placement.is_some() { Err(Decomposed::Mesh) } else { Ok(*kernel) }
    }
}
