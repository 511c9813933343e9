//! What many queries see of a stretch of a cache.

use std::ops::Range;

/// What queries see of some keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// No query sees any.
    Nothing,
    /// It has to be asked.
    Some,
    /// Every query sees all.
    All,
}

/// Queries at some positions, by the extremes of them: in whatever order they come.
#[derive(Clone, Copy)]
pub(super) struct View {
    /// The first position of a query, if there is one.
    first: i32,
    /// The last; before the first, if there is none.
    last: i32,
    /// Whether no query has a negative position, which sees nothing.
    is_whole: bool,
    window: i32,
}

impl View {
    /// Queries at these positions, each of which sees a window of so many keys, or all.
    pub(super) fn new(window: Option<i32>, queries: impl Iterator<Item = i32> + Clone) -> Self {
        let seeing = queries.clone().filter(|&position| position >= 0);
        Self {
            first: seeing.clone().min().unwrap_or(0),
            last: seeing.clone().max().unwrap_or(-1),
            is_whole: seeing.count() == queries.count(),
            window: window.unwrap_or(i32::MAX),
        }
    }

    /// Whether a query between the first and the last may see a key at this position; nobody sees one that is negative.
    fn may_see(&self, key: i32) -> bool {
        // Neither is negative: the difference does not overflow.
        key >= 0 && key <= self.last && self.first - key < self.window
    }

    /// What is left of keys without those at both ends that no query sees.
    pub(super) fn trim(&self, keys: &[i32]) -> Range<usize> {
        let sees = |&key: &i32| self.may_see(key);
        keys.iter().position(sees).map_or(0..0, |start| {
            let end = keys.iter().rposition(sees).map_or(start, |last| last + 1);
            start..end
        })
    }

    /// What they see of these keys.
    pub(super) fn of(&self, keys: &[i32]) -> Sight {
        let sees_all = |&key: &i32| key >= 0 && key <= self.first && self.last - key < self.window;
        match keys.iter().any(|&key| self.may_see(key)) {
            false => Sight::Nothing,
            true if self.is_whole && keys.iter().all(sees_all) => Sight::All,
            true => Sight::Some,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_each_query_sees_of_each_key() {
        let stretches: [&[i32]; 6] =
            [&[0, 1, 2, 3], &[-1, -1], &[8, 9, 2, 3], &[4, 5, -1, -1], &[20, 21], &[7]];
        let queries: [&[i32]; 5] = [&[7, 8, 9], &[3], &[-1, 5, 6], &[-1], &[]];
        for (keys, queries) in stretches.iter().flat_map(|keys| queries.map(|queries| (*keys, queries))) {
            for window in [None, Some(1), Some(4), Some(6)] {
                let sees = |query: i32, key: i32| {
                    key >= 0 && key <= query && window.is_none_or(|window| query - key < window)
                };
                let pairs = || queries.iter().flat_map(|&query| keys.iter().map(move |&key| (query, key)));
                let any = pairs().any(|(query, key)| sees(query, key));
                let all = pairs().all(|(query, key)| sees(query, key)) && any;
                let view = View::new(window, queries.iter().copied());
                let (sight, left) = (view.of(keys), view.trim(keys));
                let at = format!("{queries:?} of {keys:?}, window {window:?}: {sight:?}, {left:?}");
                assert!(sight != Sight::Nothing || !any, "{at}");
                assert_eq!(sight == Sight::All, all, "{at}");
                for (index, &key) in keys.iter().enumerate() {
                    assert!(left.contains(&index) || queries.iter().all(|&query| !sees(query, key)), "{at}");
                }
            }
        }
    }
}
