#!/usr/bin/env bash
# Has a compiler that is not XLA run what `lapidary export` writes, and compares the logits with the goldens'.
#
# A Gemma 1 and a Gemma 2, the latter past its window. Needs python3 and pip; IREE goes into the build directory, once.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/consumers
build=${CARGO_TARGET_DIR:-target}

packages=$build/iree
if ! cmp -s "$here/requirements.txt" "$packages/requirements.txt"; then
    rm -rf "$packages"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
        --target "$packages" -r "$here/requirements.txt"
    # Written last: an installation that was cut short is begun again.
    cp "$here/requirements.txt" "$packages/requirements.txt"
fi

exports=$(mktemp -d)
trap 'rm -rf "$exports"' EXIT
for model in gemma1-mqa gemma2-windowed; do
    checkpoint=tests/goldens/$model
    cargo run --locked --quiet -- export --model "$checkpoint" --dtype f32 --phase prefill,decode --tokens 1 \
        --context 64 --out "$exports/$model" >/dev/null
    PYTHONPATH=$packages python3 "$here/iree_logits.py" "$exports/$model" "$checkpoint" "$checkpoint/golden.safetensors"
done
