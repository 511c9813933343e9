use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::{Run, has_cpu_plugin, lapidary, run, tiny_model};

/// A model of one layer and a cache of its own, which is not there yet.
struct Bench {
    directory: tempfile::TempDir,
    model: String,
}

impl Bench {
    /// `None`, said aloud, where there is no plugin outside CI.
    fn new() -> Option<Self> {
        has_cpu_plugin().then(|| {
            let directory = tempfile::tempdir().unwrap();
            let model = tiny_model(directory.path(), &["--layers", "1", "--dtype", "f32"]);
            Self { directory, model }
        })
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = lapidary(arguments);
        command.env("LAPIDARY_CACHE_DIR", self.root()).env_remove("LAPIDARY_CACHE_SIZE");
        command
    }

    /// The arguments of a short answer.
    fn generation(&self) -> Vec<&str> {
        let model = ["generate", "--device", "cpu", "--model", &self.model];
        let answer = ["--prompt", "One", "-n", "4", "--ignore-eos", "--json", "--verbose"];
        [&model[..], &answer].concat()
    }

    /// An answer, and what was told of its programs.
    fn generate(&self, more: &[&str]) -> (Value, String) {
        let ended = run(self.command(&self.generation()).args(more));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        (serde_json::from_str(&ended.stdout).unwrap(), ended.stderr)
    }

    fn cache(&self, arguments: &[&str]) -> Run {
        run(self.command(&["cache"]).args(arguments))
    }

    fn executables(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = fs::read_dir(self.root().join("executables"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths
    }
}

/// Of how many programs something was told.
fn told(stderr: &str, what: &str) -> usize {
    stderr.lines().filter(|line| line.contains(what)).count()
}

#[test]
fn the_second_run_takes_its_programs_from_the_cache() {
    let Some(bench) = Bench::new() else { return };
    let (first, stderr) = bench.generate(&[]);
    assert_eq!(first["timings"]["compile_cached"], false);
    assert_eq!(told(&stderr, "cache miss: not there yet; stored"), 2, "{stderr}");
    for program in ["sampled_decode_b1_t1_c128_f32_s1: ", "sampled_prefill_b1_t16_c128_f32: "] {
        assert_eq!(told(&stderr, program), 1, "{stderr}");
    }
    let (second, stderr) = bench.generate(&[]);
    assert_eq!(second["timings"]["compile_cached"], true);
    assert_eq!(told(&stderr, "cache hit; compiling took "), 2, "{stderr}");
    assert_eq!(second["token_ids"], first["token_ids"]);
    assert_eq!(bench.executables().len(), 2);

    // A byte in the middle of one of them.
    let damaged = &bench.executables()[0];
    let mut bytes = fs::read(damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(damaged, bytes).unwrap();
    let (third, stderr) = bench.generate(&[]);
    assert_eq!(third["timings"]["compile_cached"], false, "one of two");
    assert_eq!(told(&stderr, "cache miss: damaged: its checksum does not match; replaced"), 1, "{stderr}");
    assert_eq!(told(&stderr, "cache hit"), 1, "{stderr}");
    assert_eq!(third["token_ids"], first["token_ids"]);
    let (fourth, _) = bench.generate(&[]);
    assert_eq!(fourth["timings"]["compile_cached"], true);

    // Everything but the programs is as before without it, and nothing is told unless asked for.
    let (uncached, stderr) = bench.generate(&["--no-cache"]);
    assert_eq!(uncached["timings"]["compile_cached"], false);
    assert_eq!(told(&stderr, "cache off: --no-cache"), 2, "{stderr}");
    assert_eq!(uncached["token_ids"], first["token_ids"]);
    let (quiet, stderr) = bench.generate(&["--quiet"]);
    assert_eq!((&quiet["timings"]["compile_cached"], stderr.as_str()), (&Value::Bool(true), ""));

    // A dump is made by compiling.
    let dumps = bench.directory.path().join("dumps");
    let flags = format!("--xla_dump_to={}", dumps.display());
    let ended = run(bench.command(&bench.generation()).env("XLA_FLAGS", flags));
    assert_eq!(told(&ended.stderr, "cache off: XLA_FLAGS asks for a dump"), 2, "{}", ended.stderr);
    assert!(dumps.read_dir().unwrap().count() > 0);
}

#[test]
fn other_commands_share_the_cache_and_tell_of_it() {
    let Some(bench) = Bench::new() else { return };
    let score = ["score", "--device", "cpu", "--model", &bench.model, "--text", "One two", "-v"];
    let chat = ["chat", "--device", "cpu", "--model", &bench.model, "-v", "-n", "2"];
    let message = bench.directory.path().join("message");
    fs::write(&message, "Hello\n").unwrap();
    let chat = |bench: &Bench| run(bench.command(&chat).stdin(fs::File::open(&message).unwrap()));
    let text = bench.directory.path().join("text.txt");
    fs::write(&text, "One two").unwrap();
    let eval = ["eval", text.to_str().unwrap(), "--device", "cpu", "--model", &bench.model, "-v"];
    for what in ["cache miss: not there yet; stored", "cache hit"] {
        let score = run(&mut bench.command(&score));
        assert_eq!((score.code, told(&score.stderr, what)), (Some(0), 1), "{}", score.stderr);
        assert!(score.stderr.starts_with("score_b1_t16_c128_f32: "), "{}", score.stderr);
        // One window is one sequence to score.
        let eval = run(&mut bench.command(&eval));
        assert_eq!((eval.code, told(&eval.stderr, "cache hit")), (Some(0), 1), "{}", eval.stderr);
        let chat = chat(&bench);
        assert_eq!((chat.code, told(&chat.stderr, what)), (Some(0), 2), "{}", chat.stderr);
    }
}

#[test]
fn two_processes_may_compile_the_same_at_a_time() {
    let Some(bench) = Bench::new() else { return };
    let start = || {
        let mut command = bench.command(&bench.generation());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let runs = [start(), start()].map(|child| Run::from(child.wait_with_output().unwrap()));
    for run in &runs {
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
    let ids = |run: &Run| serde_json::from_str::<Value>(&run.stdout).unwrap()["token_ids"].clone();
    assert_eq!(ids(&runs[0]), ids(&runs[1]));
    assert_eq!(bench.executables().len(), 2, "{:?}", bench.executables());
    assert_eq!(bench.generate(&[]).0["timings"]["compile_cached"], true);
}

#[test]
fn a_cache_that_cannot_be_is_told_and_no_error() {
    let Some(bench) = Bench::new() else { return };
    fs::write(bench.root(), "in the way").unwrap();
    let (answer, stderr) = bench.generate(&[]);
    assert_eq!(answer["timings"]["compile_cached"], false);
    assert_eq!(told(&stderr, "not stored: "), 2, "{stderr}");
    assert_eq!(fs::read_to_string(bench.root()).unwrap(), "in the way");
}

#[test]
fn a_size_that_is_none_is_an_error() {
    let mut command = lapidary(&["generate", "--device", "cpu", "--prompt", "One"]);
    let ended = run(command.env("LAPIDARY_CACHE_SIZE", "plenty"));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(
        ended.stderr.contains("error: LAPIDARY_CACHE_SIZE is `plenty`: expected a size"),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_cache_is_listed_and_cleared() {
    let Some(bench) = Bench::new() else { return };
    let place = bench.root().join("executables");
    let path = bench.cache(&["path"]);
    assert_eq!((path.code, Path::new(path.stdout.trim_end())), (Some(0), place.as_path()));
    let empty = bench.cache(&["list"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(0), ""));
    assert!(!bench.root().exists(), "asking creates nothing");

    bench.generate(&[]);
    let listed: Value = serde_json::from_str(&bench.cache(&["list", "--json"]).stdout).unwrap();
    let executables = listed["executables"].as_array().unwrap();
    let bytes = |value: &Value| value.as_u64().unwrap();
    assert_eq!(executables.len(), 2);
    assert_eq!(executables.iter().map(|one| bytes(&one["bytes"])).sum::<u64>(), bytes(&listed["bytes"]));
    assert_eq!(listed["max_bytes"], 2u64 << 30);
    let programs: Vec<&str> = executables.iter().map(|one| one["program"].as_str().unwrap()).collect();
    assert!(programs.contains(&"gemma2_sampled_decode_b1_t1_c128_f32_s1, layers: 1, cpu"), "{programs:?}");
    assert!(executables.iter().all(|one| one["compile_s"].as_f64().unwrap() > 0.0));
    let table = bench.cache(&["list"]).stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
    let doctor = run(&mut bench.command(&["doctor", "--device", "cpu", "--json"]));
    let doctor: Value = serde_json::from_str(&doctor.stdout).unwrap();
    let found = &doctor["host"]["cache"];
    assert_eq!((&found["executables"], &found["bytes"]), (&Value::from(2), &listed["bytes"]));
    assert_eq!((&found["path"], &found["problem"]), (&listed["path"], &Value::Null));

    let cleared = bench.cache(&["clear"]);
    assert!(cleared.stdout.starts_with("removed 2 executables ("), "{}", cleared.stdout);
    assert!(bench.executables().is_empty());
    assert_eq!(bench.generate(&[]).0["timings"]["compile_cached"], false);
}
