//! Name scopes: the model path of an operation.

use std::collections::HashMap;

use crate::ScopeId;

/// Interned model paths such as `layers.7.self_attn.q_proj`; the empty path is the root.
#[derive(Clone, Debug)]
pub struct Scopes {
    paths: Vec<String>,
    by_path: HashMap<String, ScopeId>,
}

impl Scopes {
    /// The id of the empty path.
    pub fn root() -> ScopeId {
        ScopeId::new(0)
    }

    /// The id of `path`, added if new.
    pub fn intern(&mut self, path: &str) -> ScopeId {
        if let Some(&id) = self.by_path.get(path) {
            return id;
        }
        let id = ScopeId::new(self.paths.len());
        self.paths.push(path.to_string());
        self.by_path.insert(path.to_string(), id);
        id
    }

    /// The path of `id`, or the empty path for an id of another module.
    pub fn path(&self, id: ScopeId) -> &str {
        self.paths.get(id.index()).map_or("", String::as_str)
    }

    /// The id of the path `parent.name` (or `name` at the root), added if new.
    pub fn child(&mut self, parent: ScopeId, name: &str) -> ScopeId {
        let path = match self.path(parent) {
            "" => name.to_string(),
            prefix => format!("{prefix}.{name}"),
        };
        self.intern(&path)
    }
}

/// A place in a module as errors tell it, from a function's name and a model path:
/// `main: layers.7.self_attn`, or `main` at the root.
pub fn location(function: &str, path: &str) -> String {
    match path {
        "" => function.to_string(),
        path => format!("{function}: {path}"),
    }
}

impl Default for Scopes {
    fn default() -> Self {
        let mut scopes = Self { paths: Vec::new(), by_path: HashMap::new() };
        scopes.intern("");
        scopes
    }
}
