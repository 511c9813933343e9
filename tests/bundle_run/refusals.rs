//! Bundles for something else.

use lapidary::bundle::Bundle;
use lapidary::graph::DType;
use lapidary::lower::ShardingRules;
use lapidary::models::program::KvCache;
use lapidary::runtime::plugins::PluginKind;
use serde_json::{Value, json};

use crate::bundles::{edit, fixture, refusal, sentence};
use crate::support::{cpu, cpu_devices};

/// What is said of a bundle for one device with a change in its manifest.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let client = cpu().unwrap();
    let (_directory, bundle) = fixture().copy();
    edit(&bundle, change);
    let message = sentence(fixture().bundled(&bundle, &client, false));
    let prefix = format!("the bundle {} ", bundle.display());
    message.strip_prefix(&prefix).unwrap_or_else(|| panic!("{message}")).to_owned()
}

#[test]
fn another_platform_is_told_by_what_differs() {
    if cpu().is_none() {
        return;
    }
    let plugin = changed(|manifest| {
        manifest["plugin"]["sha256"] = "0".repeat(64).into();
        manifest["plugin"]["version"] = "0.9.9".into();
    });
    let start = "was compiled by the cpu plugin version 0.9.9 (SHA-256 000000000000...), but the one here is version \
                 0.0.9 (SHA-256 ";
    assert!(plugin.starts_with(start), "{plugin}");
    assert!(
        plugin.ends_with("...): give that one as --plugin, compile the bundle again, or add --recompile"),
        "{plugin}"
    );
    assert_eq!(
        changed(|manifest| manifest["target"]["table"] = "tpu".into()),
        "is for tpu, but the device here is cpu: run it where there is tpu, or compile one for cpu"
    );
    assert_eq!(
        changed(|manifest| manifest["device_kind"] = "abacus".into()),
        "is for devices of the kind `abacus`, but `cpu` is here: compile one for these devices, or add --recompile"
    );
    assert_eq!(
        changed(|manifest| manifest["compile_options"]["device_assignment"] = json!([7])),
        "is for the devices with the ids 7, but those here have 0: compile one for these devices, or add --recompile"
    );
}

#[test]
fn a_processor_that_lacks_something_is_told_what() {
    if cpu().is_none() {
        return;
    }
    let lacking = changed(|manifest| {
        manifest["processor"]["name"] = "Core of tomorrow".into();
        manifest["processor"]["features"].as_array_mut().unwrap().extend([json!("avx2048"), json!("zz")]);
    });
    assert!(
        lacking.starts_with("has code for a processor `Core of tomorrow`, but this one is `"),
        "{lacking}"
    );
    let end = "`, which lacks avx2048, zz: compile one on this machine, or add --recompile";
    assert!(lacking.ends_with(end), "{lacking}");
    let lacking = changed(|manifest| {
        let more = (0..9).map(|number| json!(format!("aaa{number}")));
        manifest["processor"]["features"].as_array_mut().unwrap().extend(more);
    });
    assert!(lacking.contains("lacks aaa0, aaa1, aaa2, aaa3 and 5 more of its features: "), "{lacking}");
    let other = changed(|manifest| manifest["processor"]["architecture"] = "sparc".into());
    assert!(other.contains("which lacks the instructions of sparc: "), "{other}");
    assert_eq!(
        changed(|manifest| manifest["processor"] = Value::Null),
        "does not say which processor its code is for: compile one on this machine, or add --recompile"
    );
    // What a processor has more than is needed does no harm.
    let (_directory, bundle) = fixture().copy();
    edit(&bundle, |manifest| drop(manifest["processor"]["features"].as_array_mut().unwrap().pop()));
    assert!(fixture().bundled(&bundle, &cpu().unwrap(), false).is_ok());
}

#[test]
fn compiling_again_does_not_make_another_model_of_it() {
    let Some(client) = cpu() else { return };
    let (_directory, bundle) = fixture().copy();
    // A size that shows in no parameter.
    edit(&bundle, |manifest| manifest["model"]["config"]["query_pre_attn_scalar"] = json!(7));
    let scalar = fixture().checkpoint.config().query_pre_attn_scalar;
    let message = sentence(fixture().bundled(&bundle, &client, true));
    let told = format!(
        "query_pre_attn_scalar is 7 in the bundle and {scalar} in the model: compile one for this model"
    );
    assert!(message.ends_with(&told), "{message}");
    edit(&bundle, |manifest| manifest["model"]["config"]["hidden_size"] = json!(7));
    let message = sentence(fixture().bundled(&bundle, &client, true));
    assert!(message.contains("is damaged: its programs are not of its model"), "{message}");
    edit(&bundle, |manifest| {
        manifest["model"]["config"]["query_pre_attn_scalar"] = json!(scalar);
        manifest["model"]["config"]["hidden_size"] = json!(fixture().checkpoint.config().hidden_size);
        manifest["target"]["table"] = "cuda".into();
    });
    assert!(
        sentence(fixture().bundled(&bundle, &client, true))
            .contains("is for cuda, but the device here is cpu")
    );
}

#[test]
fn arguments_are_compared_with_a_bundle() {
    let one = Bundle::open(&fixture().bundle("one")).unwrap();
    let two = Bundle::open(&fixture().bundle("two")).unwrap();
    let (mesh, context) = (|text: &str| text.parse().unwrap(), fixture().context());
    let rest = |bundle: &Bundle, message: String| {
        let prefix = format!("the bundle {} ", bundle.directory().display());
        message.strip_prefix(&prefix).unwrap_or_else(|| panic!("{message}")).to_owned()
    };
    for (told, expected) in [
        (
            rest(&one, refusal(one.check_dtype(DType::BF16))),
            "runs in f32, but --dtype bf16 was asked for: leave it out, or compile one with --dtype bf16".to_owned(),
        ),
        (
            rest(&one, refusal(one.check_kv_cache(KvCache::Int8))),
            "has a KV cache in bf16, but --kv-cache int8 was asked for: leave it out, or compile one with --kv-cache int8"
                .to_owned(),
        ),
        (
            rest(&one, refusal(one.check_mesh(&mesh("model=2")))),
            "is for one device, but the mesh model=2 was asked for: leave --mesh out, or compile one for that mesh"
                .to_owned(),
        ),
        (
            rest(&two, refusal(two.check_mesh(&mesh("data=2")))),
            "is for the mesh model=2, but the mesh data=2 was asked for: leave --mesh out, or compile one for that mesh"
                .to_owned(),
        ),
        (
            rest(&two, refusal(two.check_rules(&ShardingRules::transformer().with("vocab", &[])))),
            "splits `vocab` over `model`, but the --rules given split `vocab` over nothing: leave them out, or compile \
             one with them"
                .to_owned(),
        ),
        (
            rest(&two, refusal(two.check_virtual_devices(4))),
            "is for 2 devices, but --virtual-devices 4 was asked for: leave it out, or compile one for 4 devices"
                .to_owned(),
        ),
        (
            rest(&one, refusal(one.check_context(5000))),
            format!(
                "has room for {context} positions of each sequence, but 5000 were asked for: ask for at most {context}, \
                 or compile one with --context 5000"
            ),
        ),
        (
            rest(&one, refusal(one.check_device(PluginKind::Tpu))),
            "is for cpu, but the device here is tpu: run it where there is cpu, or compile one for tpu".to_owned(),
        ),
    ] {
        assert_eq!(told, expected);
    }
    assert!(one.check_mesh(&mesh("model=1")).is_ok() && two.check_mesh(&mesh("model=2")).is_ok());
    assert!(one.check_rules(&ShardingRules::none()).is_ok(), "on one device nothing is split");
    assert!(two.check_rules(&ShardingRules::transformer()).is_ok());
    assert!(one.check_context(context).is_ok() && one.check_dtype(DType::F32).is_ok());
}

#[test]
fn a_bundle_for_more_devices_than_there_are_is_refused() {
    let Some(client) = cpu() else { return };
    let message = sentence(fixture().bundled(&fixture().bundle("two"), &client, false));
    assert!(
        message.ends_with("is for 2 devices, but 1 are here: run it where there are 2, or compile one for 1"),
        "{message}"
    );
    // More of them than it takes are no harm.
    let client = cpu_devices(3).unwrap();
    let engine = fixture().bundled(&fixture().bundle("two"), &client, false).unwrap();
    assert_eq!(engine.placement().devices().len(), 2);
}

#[test]
fn what_a_bundle_lacks_is_named_with_what_it_has() {
    let Some(client) = cpu() else { return };
    let fixture = fixture();
    let engine = fixture.bundled(&fixture.bundle("one"), &client, false).unwrap();
    let context = fixture.context();
    let message = engine.batch(5, 64).unwrap_err().to_string();
    assert!(
        message.ends_with(
            " run 4 sequences at a time, not 5: give at most 4 at a time, or compile one with --batch 5"
        ),
        "{message}"
    );
    let mut ignore = |_: lapidary::engine::ScoreChunk<'_>| Ok(());
    let message = engine.score(&[vec![2, 3]], Some(&mut ignore)).unwrap_err().to_string();
    let told = format!(
        "has no program `score_logits` (compile's --phase score_logits) for 4 rows of {context} positions; it has `prefill` \
         (batch 4, "
    );
    assert!(message.contains(&told) && message.ends_with(": compile one that has it too"), "{message}");
    let bundle = Bundle::open(&fixture.bundle("one")).unwrap();
    let message = refusal(bundle.check_sequences(&[vec![2], vec![2; context + 1]]));
    let told =
        format!("sequence 1 (counted from 0) has {} tokens, but the programs of the bundle ", context + 1);
    assert!(
        message.starts_with(&told) && message.contains(&format!(" have room for {context}: ")),
        "{message}"
    );
}
