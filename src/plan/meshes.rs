//! Meshes that a model fits on.

use lapidary_lower::Mesh;
use lapidary_models::program::Program;
use serde::Serialize;

use super::layout::Layout;
use super::roofline::PhasePlan;
use super::{PlanError, PlanRequest, Sizes, memory, mesh_text};
use crate::target::{Gpu, Network, TargetSpec, TpuSlice};

/// Most meshes of the target asked for that are suggested.
const SUGGESTIONS: usize = 3;

/// A target and mesh that the model fits on.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Suggestion {
    /// The target.
    pub target: String,
    /// The mesh.
    #[serde(serialize_with = "mesh_text")]
    pub mesh: Mesh,
    /// Bytes on one device.
    pub total_bytes: u64,
    /// Seconds of a decode step, at least.
    pub decode_step_s: f64,
}

/// A mesh of a target, and how it does.
struct Candidate {
    mesh: Mesh,
    fits: bool,
    total_bytes: u64,
    decode_step_s: f64,
}

/// The mesh of the target's devices with the fastest decode step, among those that fit if any do.
pub(super) fn best(request: &PlanRequest<'_>, program: &Program, sizes: &Sizes) -> Result<Mesh, PlanError> {
    // Where devices are as many as wanted, one will do.
    let devices = request.target.num_devices().unwrap_or(1);
    let candidates = candidates(request, request.target, program, sizes).into_iter();
    candidates.map(|candidate| candidate.mesh).next().ok_or(PlanError::NoMesh { devices })
}

/// Other meshes of the same target that fit, fastest first; if there are none, the fastest one of the smallest
/// target of the same kind where there is one.
pub(super) fn suggestions(request: &PlanRequest<'_>, program: &Program, sizes: &Sizes) -> Vec<Suggestion> {
    let fitting = |target: &TargetSpec, most: usize| -> Vec<Suggestion> {
        let candidates = candidates(request, target, program, sizes).into_iter();
        candidates
            .filter(|candidate| candidate.fits)
            .take(most)
            .map(|Candidate { mesh, total_bytes, decode_step_s, .. }| Suggestion {
                target: target.to_string(),
                mesh,
                total_bytes,
                decode_step_s,
            })
            .collect()
    };
    let here = fitting(request.target, SUGGESTIONS);
    if !here.is_empty() {
        return here;
    }
    let elsewhere = siblings(request.target);
    elsewhere.iter().map(|target| fitting(target, 1)).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Every mesh of a target's devices over `data` and `model` that goes with the rules: first those that fit, and of
/// these the one with the fastest decode step.
fn candidates(
    request: &PlanRequest<'_>,
    target: &TargetSpec,
    program: &Program,
    sizes: &Sizes,
) -> Vec<Candidate> {
    let hardware = target.hardware();
    let meshes = meshes(target.num_devices().unwrap_or(1));
    let fitting_rules = meshes.into_iter().filter(|mesh| request.rules.check(mesh).is_ok());
    let mut candidates: Vec<Candidate> = fitting_rules
        .map(|mesh| {
            let layout = Layout::new(request, program, &mesh);
            let total_bytes = memory(&layout, sizes, None).total_bytes;
            let decode = PhasePlan::of(&layout, &sizes.decode, hardware.as_ref());
            Candidate {
                fits: hardware.is_none_or(|hardware| total_bytes <= hardware.memory_bytes),
                total_bytes,
                decode_step_s: decode.roofline.map_or(0.0, |roofline| roofline.step_s),
                mesh,
            }
        })
        .collect();
    let by_speed = |a: &Candidate, b: &Candidate| a.decode_step_s.total_cmp(&b.decode_step_s);
    candidates.sort_by(|a, b| b.fits.cmp(&a.fits).then(by_speed(a, b)));
    candidates
}

/// Every way to arrange devices over `data` and `model`.
fn meshes(devices: usize) -> Vec<Mesh> {
    let divisors = (1..=devices).filter(|data| devices.is_multiple_of(*data));
    divisors
        .filter_map(|data| {
            let axes = [("data", data), ("model", devices / data)].into_iter();
            Mesh::new(axes.filter(|(_, size)| *size > 1).map(|(name, size)| (name.to_string(), size))).ok()
        })
        .collect()
}

/// Targets of the same chip, from small to large.
fn siblings(target: &TargetSpec) -> Vec<TargetSpec> {
    const BOXES: [&[usize]; 13] = [
        &[1, 1, 1],
        &[2, 2, 1],
        &[2, 2, 2],
        &[2, 2, 4],
        &[2, 4, 4],
        &[4, 4, 4],
        &[4, 4, 8],
        &[4, 8, 8],
        &[8, 8, 8],
        &[8, 8, 16],
        &[8, 16, 16],
        &[16, 16, 16],
        &[16, 16, 24],
    ];
    const RECTANGLES: [&[usize]; 8] =
        [&[1, 1], &[2, 2], &[2, 4], &[4, 4], &[4, 8], &[8, 8], &[8, 16], &[16, 16]];
    match target {
        TargetSpec::Cpu => Vec::new(),
        TargetSpec::Tpu(slice) => {
            let flat = slice.generation.chip.interconnect.network == Network::Torus { axes: 2 };
            let forms: &[&[usize]] = if flat { &RECTANGLES } else { &BOXES };
            let slices = forms.iter().filter_map(|form| TpuSlice::new(slice.generation, form).ok());
            let chip_config = slice.chip_config;
            slices.map(|slice| TargetSpec::Tpu(TpuSlice { chip_config, ..slice })).collect()
        }
        TargetSpec::Cuda { gpu, .. } => {
            let counts = [1, 2, 4, Gpu::MAX_COUNT];
            counts.into_iter().map(|count| TargetSpec::Cuda { gpu, count }).collect()
        }
    }
}
