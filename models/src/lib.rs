//! Gemma 1 and 2: configs, checkpoints, tokenizer, chat, graph programs.

pub mod config;
pub mod dtype;
mod json;
pub mod weights;
