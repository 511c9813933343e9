//! What to do about programs that need more memory than there is.

use lapidary::bundle::BundleError;
use lapidary::plan::{Plan, PlanRequest, plan};

/// An error, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{error}; {advice}")]
struct Advised {
    #[source]
    error: BundleError,
    advice: String,
}

/// Adds what does fit, by the plan of the same sizes, to the error of a program that does not.
pub fn advise(error: anyhow::Error, request: &PlanRequest<'_>) -> anyhow::Error {
    match error.downcast::<BundleError>() {
        Ok(error @ BundleError::OutOfMemory { .. }) => match plan(request) {
            Ok(plan) => Advised { error, advice: fitting(&plan, request) }.into(),
            // A plan is refused only what is refused an export, which came before.
            Err(_) => error.into(),
        },
        Ok(error) => error.into(),
        Err(error) => error,
    }
}

/// What fits at most, where a plan knows.
pub fn fitting(plan: &Plan, request: &PlanRequest<'_>) -> String {
    let Some(limits) = plan.limits else { return String::new() };
    let sequences = |count: usize| format!("{count} sequence{}", if count == 1 { "" } else { "s" });
    let elsewhere = plan.suggestions.first().map(|suggestion| {
        let mesh = match suggestion.mesh.num_devices() {
            1 => String::new(),
            _ => format!(" --mesh {}", suggestion.mesh),
        };
        format!("--target {}{mesh}", suggestion.target)
    });
    match (limits.batch, limits.context, elsewhere) {
        (0, 0, Some(elsewhere)) => {
            format!("by `lapidary plan` not even one position fits here, but all of it does with {elsewhere}")
        }
        (0, 0, None) => {
            "by `lapidary plan` not even one position fits: take devices with more memory".to_string()
        }
        (batch, context, elsewhere) => {
            let batch = match batch {
                0 => "no sequence".to_string(),
                batch => format!("{} at most", sequences(batch)),
            };
            let context = match context {
                0 => "nothing".to_string(),
                context => format!("a context of {context} at most"),
            };
            let elsewhere = elsewhere.map(|other| format!(", or all of it with {other}")).unwrap_or_default();
            format!(
                "by `lapidary plan`, which prefills {} at a time, there is room for {batch} of context {}, or with {} \
                 for {context}{elsewhere}",
                sequences(request.prefill_batch),
                request.context,
                sequences(request.batch),
            )
        }
    }
}
