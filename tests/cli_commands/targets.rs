use serde_json::Value;

use super::run_lapidary;

#[test]
fn every_target_is_listed_and_can_be_planned_for() {
    let listed = run_lapidary(&["targets", "--json"]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let rows: Value = serde_json::from_str(&listed.stdout).unwrap();
    let text = run_lapidary(&["targets"]).stdout;
    assert_eq!(text.lines().count(), rows.as_array().unwrap().len() + 1);
    for row in rows.as_array().unwrap() {
        let target = row["example"].as_str().unwrap();
        assert!(text.lines().any(|line| line.starts_with(&format!("{target} "))), "{target}\n{text}");
        let planned = run_lapidary(&["plan", "--model", "tiny", "--target", target, "--json"]);
        assert_eq!(planned.code, Some(0), "{target}: {}", planned.stderr);
        let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
        assert_eq!(plan["memory"]["available_bytes"], row["memory_bytes"], "{target}");
    }
    let v5p = rows.as_array().unwrap().iter().find(|row| row["chip"] == "v5p").unwrap();
    assert_eq!((&v5p["platform"], v5p["bf16_flops"].as_f64()), (&Value::from("tpu"), Some(459e12)));
    assert!(v5p["source"].as_str().unwrap().contains("v5p"), "{v5p}");
}
