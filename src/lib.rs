//! Gemma, cut for XLA: the library facade over graph, lower, runtime and models.
