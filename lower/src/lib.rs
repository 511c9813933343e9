//! Verified lapidary graphs to StableHLO text, with Shardy shardings, per target.
