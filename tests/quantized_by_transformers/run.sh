#!/usr/bin/env bash
# Has transformers load what `lapidary quantize` writes, and compares the logits with those of the decoded weights.
#
# The built-in model in 8 and in 4 bits, in groups and by channel, with exceptions. Needs python3 and pip; torch,
# transformers and compressed-tensors go into the build directory, once. Not a part of CI: torch is too large for it.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/quantized_by_transformers
build=${CARGO_TARGET_DIR:-target}

packages=$build/transformers
if ! cmp -s "$here/requirements.txt" "$packages/requirements.txt"; then
    rm -rf "$packages"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
        --target "$packages" -r "$here/requirements.txt"
    # Written last: an installation that was cut short is begun again.
    cp "$here/requirements.txt" "$packages/requirements.txt"
fi

models=$(mktemp -d)
trap 'rm -rf "$models"' EXIT

# check NAME OPTION...: the built-in model, quantized so.
check() {
    local name=$1
    shift
    cargo run --locked --quiet -- quantize --quiet --model pebble --out "$models/$name" "$@" >/dev/null
    PYTHONPATH=$packages python3 "$here/check.py" "$models/$name"
}

check int8 --to int8 --embedding keep
check int8-group-64 --to int8 --group 64 --embedding keep
check int4 --to int4 --embedding keep
check int4-channel-f32-scales --to int4 --group channel --scale-dtype f32 --embedding keep
check int4-mixed --to int4 --group 32 --embedding keep --int8 '*.down_proj' --keep 'model.layers.0.*'
