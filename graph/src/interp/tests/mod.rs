//! Tests of the ops through whole functions.
