//! How programs for a platform take weights in few bits.

use lapidary_lower::Target;
use lapidary_models::config::GemmaConfig;
use lapidary_models::encoding::Arrangement;

/// `config` with weights in the arrangement that programs for a platform take them in.
pub(crate) fn arranged(config: &GemmaConfig, table: &Target) -> GemmaConfig {
    let arrangement = if table.weights_by_groups { Arrangement::Groups } else { Arrangement::Rows };
    GemmaConfig { encodings: config.encodings.clone().arranged(arrangement), ..config.clone() }
}
