//! Gemma 1 and 2: configs, checkpoints, tokenizer, chat, graph programs.
