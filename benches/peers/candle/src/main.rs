//! candle's Gemma 2 as a peer: `candle-client REQUEST.json f16|f32`. The protocol is that of `clients/protocol.py`.

use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::gemma2::{Config, Model};
use serde::Deserialize;
use serde_json::{Value, json};

/// A warm-up makes this many tokens, as in `clients/protocol.py`.
const WARMUP_TOKENS: usize = 2;

#[derive(Deserialize)]
struct Request {
    checkpoint: PathBuf,
    short: Vec<u32>,
    prompt: Vec<u32>,
    decode_tokens: usize,
    decode_seconds: f64,
    warmup: usize,
    repetitions: usize,
    logits: Option<PathBuf>,
}

/// A model, and how many tokens its cache holds.
struct Session {
    model: Model,
    length: usize,
    logits: Tensor,
    weight_bytes: usize,
}

impl Session {
    fn load(checkpoint: &Path, dtype: DType) -> Result<Self> {
        let device = Device::Cpu;
        let text = fs::read_to_string(checkpoint.join("config.json"))?;
        let mut config: Value = serde_json::from_str(&text)?;
        let base = config.pointer("/rope_parameters/rope_theta").cloned();
        if let (None, Some(base)) = (config.get("rope_theta"), base) {
            // Newer files keep the angle's base in an object of its own, which candle does not read.
            config["rope_theta"] = base;
        }
        let config: Config = serde_json::from_value(config).context("the config is not one of Gemma 2")?;
        let mut files: Vec<PathBuf> = fs::read_dir(checkpoint)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
            .collect();
        files.sort();
        // SAFETY: nothing writes to the checkpoint while the benchmark runs.
        let tensors = unsafe { candle_core::safetensors::MmapedSafetensors::multi(&files)? };
        let elements: usize =
            tensors.tensors().iter().map(|(_, view)| view.shape().iter().product::<usize>()).sum();
        // SAFETY: as above.
        let weights = unsafe { VarBuilder::from_mmaped_safetensors(&files, dtype, &device)? };
        let model = Model::new(false, &config, weights)?;
        let logits = Tensor::zeros(1, DType::F32, &device)?;
        Ok(Self { model, length: 0, logits, weight_bytes: elements * dtype.size_in_bytes() })
    }

    /// Forgets what came before and reads `ids`; returns the most likely next token.
    fn prefill(&mut self, ids: &[u32]) -> Result<u32> {
        self.model.clear_kv_cache();
        self.length = 0;
        self.forward(ids)
    }

    fn forward(&mut self, ids: &[u32]) -> Result<u32> {
        let input = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        let logits = self.model.forward(&input, self.length)?;
        self.length += ids.len();
        self.logits = logits.flatten_all()?.to_dtype(DType::F32)?;
        Ok(self.logits.argmax(0)?.to_scalar()?)
    }

    fn decode(&mut self, token: u32, tokens: usize, limit: f64) -> Result<Value> {
        let mut ids = vec![token];
        let started = Instant::now();
        let mut seconds = 0.0;
        let mut last = token;
        while ids.len() <= tokens && seconds < limit {
            last = self.forward(&[last])?;
            ids.push(last);
            seconds = started.elapsed().as_secs_f64();
        }
        Ok(json!({ "event": "decode", "tokens": ids.len() - 1, "seconds": seconds, "ids": ids }))
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let [_, request, dtype] = &arguments[..] else { bail!("usage: candle-client REQUEST.json f16|f32") };
    let request: Request = serde_json::from_str(&fs::read_to_string(request)?)?;
    let dtype = match dtype.as_str() {
        "f16" => DType::F16,
        "f32" => DType::F32,
        other => bail!("candle multiplies matrices on the CPU in f16 or f32, not in {other}"),
    };
    let mut session = Session::load(&request.checkpoint, dtype)?;
    println!("{}", json!({ "event": "loaded" }));
    let token = session.prefill(&request.short)?;
    println!("{}", json!({ "event": "first_token", "token": token }));
    if let Some(path) = &request.logits {
        let logits: Vec<f32> = session.logits.to_vec1()?;
        let bytes: Vec<u8> = logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        fs::write(path, bytes)?;
    }
    for turn in 0..request.warmup + request.repetitions {
        let warms_up = turn < request.warmup;
        let started = Instant::now();
        let token = session.prefill(&request.prompt)?;
        let seconds = started.elapsed().as_secs_f64();
        let tokens = if warms_up { WARMUP_TOKENS } else { request.decode_tokens };
        let decoded = session.decode(token, tokens, request.decode_seconds)?;
        if !warms_up {
            let tokens = request.prompt.len();
            println!("{}", json!({ "event": "prefill", "tokens": tokens, "seconds": seconds }));
            println!("{decoded}");
        }
    }
    // Its version is in the lock file, where the driver reads it.
    println!("{}", json!({ "event": "done", "versions": {}, "weight_bytes": session.weight_bytes }));
    Ok(())
}
