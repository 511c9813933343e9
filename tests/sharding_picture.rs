//! The picture in `docs/sharding.md` is the one that the example draws; `BLESS=1` rewrites it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../examples/sharding_picture.rs"]
mod example;

use std::path::Path;

#[test]
fn the_picture_shows_the_real_shardings() {
    let drawn = example::picture().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sharding.svg");
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &drawn).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == drawn, "{} is not what the example draws (BLESS=1 rewrites it)", path.display());
}
