//! Gemma 1 and 2: configs, checkpoints, tokenizer, chat, graph programs.

pub mod builtin;
pub mod chat;
pub mod checkpoint;
pub mod config;
pub mod convert;
pub mod dtype;
pub mod encoding;
mod files;
pub mod gguf;
mod json;
pub mod program;
pub mod progress;
pub mod quantize;
pub mod synth;
pub mod tokenizer;
pub mod weights;
pub mod writing;
