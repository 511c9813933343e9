#!/usr/bin/env bash
# Lowers every program of every model and has a parser that is not ours read the texts.
#
# Models of two layers, all phases, for each target, on one device and on meshes; what `lapidary export` writes of a
# whole model; the golden texts of the lowering as well. Needs python3 and pip; the parser's packages go into the build
# directory, once.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/stablehlo_parse
build=${CARGO_TARGET_DIR:-target}

packages=$build/stablehlo-parser
if ! cmp -s "$here/requirements.txt" "$packages/requirements.txt"; then
    rm -rf "$packages"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
        --target "$packages" -r "$here/requirements.txt"
    # Written last: an installation that was cut short is begun again.
    cp "$here/requirements.txt" "$packages/requirements.txt"
fi

cargo build --locked --quiet --example print_stablehlo
texts=$(mktemp -d)
trap 'rm -rf "$texts"' EXIT

# print NAME MODEL OPTION...: every phase of a model on every target, for one choice of options.
print() {
    local name=$1 model=$2 phase target
    shift 2
    for phase in prefill decode score score-logits; do
        for target in cpu tpu cuda; do
            "$build/debug/examples/print_stablehlo" "$model" "$phase" --target "$target" "$@" \
                >"$texts/$name.$phase.$target.mlir"
        done
    done
}

for model in gemma-2b gemma-7b gemma2-2b gemma2-9b gemma2-27b; do
    print "$model" "$model" --layers 2
    print "$model.f32" "$model" --layers 2 --dtype f32 --tokens 31 --capacity 1000 --batch 3
    print "$model.model4" "$model" --layers 2 --mesh model=4
    print "$model.data2.model4" "$model" --layers 2 --mesh data=2,model=4 --batch 4
done
for config in tests/goldens/*/config.json; do
    model=$(dirname "$config")
    print "$(basename "$model")" "$model" --tokens 16 --batch 2
done

cargo run --locked --quiet -- export --model gemma2-2b --mesh data=2,model=4 --batch 4 --context 8192 \
    --out "$texts/export" >/dev/null

PYTHONPATH=$packages python3 "$here/check.py" "$texts" lower/tests/filetests
