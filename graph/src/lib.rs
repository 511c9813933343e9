//! A small tensor IR: ops, builder, inference, verifier, text form, reference interpreter.
