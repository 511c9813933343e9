//! Stop strings in a stream of text.

/// Watches streamed text for stop strings, holding back what may turn out to be the start of one.
#[derive(Clone, Debug)]
pub struct StopMatcher {
    stops: Vec<String>,
    pending: String,
}

/// Text that may be shown, and whether a stop string ended it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// Text before any stop string.
    pub text: String,
    /// Whether a stop string was met; it and what follows are dropped.
    pub stopped: bool,
}

impl StopMatcher {
    /// A matcher for these strings; empty ones match nothing.
    pub fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|s| !s.is_empty()).cloned().collect();
        Self { stops, pending: String::new() }
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, piece: &str) -> Passed {
        self.pending.push_str(piece);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.pending.find(stop.as_str())).min() {
            self.pending.truncate(at);
            return Passed { text: std::mem::take(&mut self.pending), stopped: true };
        }
        let held = self.stops.iter().map(|stop| overlap(&self.pending, stop)).max().unwrap_or(0);
        let rest = self.pending.split_off(self.pending.len() - held);
        Passed { text: std::mem::replace(&mut self.pending, rest), stopped: false }
    }

    /// What was held back, once no more text comes.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.pending)
    }
}

/// Bytes of the longest suffix of `text` that is a proper prefix of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let prefixes = stop.char_indices().map(|(at, _)| at).filter(|&at| at > 0);
    prefixes.filter(|&len| stop.get(..len).is_some_and(|prefix| text.ends_with(prefix))).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|s| s.to_string()).collect();
        let mut matcher = StopMatcher::new(&stops);
        let mut text = String::new();
        for piece in pieces {
            let passed = matcher.push(piece);
            text.push_str(&passed.text);
            if passed.stopped {
                return (text, true);
            }
        }
        text.push_str(&matcher.finish());
        (text, false)
    }

    #[test]
    fn a_stop_string_is_found_across_pieces() {
        assert_eq!(run(&["END"], &["one E", "N", "D two"]), ("one ".to_string(), true));
        assert_eq!(run(&["\n\n", "xyz"], &["a\n", "b\n", "\nc"]), ("a\nb".to_string(), true));
        assert_eq!(run(&["aab"], &["a", "a", "a", "b"]), ("a".to_string(), true));
    }

    #[test]
    fn held_back_text_is_given_at_the_end() {
        assert_eq!(run(&["END"], &["the EN"]), ("the EN".to_string(), false));
        assert_eq!(run(&["", "é!"], &["caf", "é"]), ("café".to_string(), false));
    }

    #[test]
    fn the_earliest_of_several_wins() {
        assert_eq!(run(&["late", "ear"], &["x early late"]), ("x ".to_string(), true));
    }
}
