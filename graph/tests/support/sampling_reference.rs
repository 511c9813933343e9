//! What sampling means, on the host and without haste: sorted lists and f64, sharing nothing with the compositions.

// Every test binary compiles this module, and none uses all of it.
#![allow(dead_code)]

/// How one row's token is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    pub temperature: f32,
    pub top_k: i32,
    pub top_p: f32,
    pub min_p: f32,
    pub seed: u64,
    pub position: i32,
}

impl Choice {
    pub const GREEDY: Self =
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, seed: 0, position: 0 };

    /// The token that follows.
    pub fn choose(&self, logits: &[f32]) -> usize {
        let scores: Vec<f64> = if self.temperature == 0.0 {
            logits.iter().map(|&logit| f64::from(logit)).collect()
        } else {
            let kept = self.kept(logits);
            let scaled = self.scaled(logits).into_iter().zip(kept).enumerate();
            scaled
                .map(|(token, (x, kept))| if kept { x + self.noise(token) } else { f64::NEG_INFINITY })
                .collect()
        };
        (0..scores.len()).rev().max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0)
    }

    /// The tokens that the filters keep. The likeliest ones first, they are kept in groups of equal ones.
    pub fn kept(&self, logits: &[f32]) -> Vec<bool> {
        let weights: Vec<f64> = self.scaled(logits).into_iter().map(f64::exp).collect();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].partial_cmp(&logits[a]).unwrap());
        let mut groups: Vec<&[usize]> = order.chunk_by(|&a, &b| logits[a] == logits[b]).collect();
        if self.top_k > 0 {
            let mut count = 0;
            let needed = groups.iter().take_while(|group| {
                let before = count;
                count += group.len();
                before < self.top_k as usize
            });
            groups.truncate(needed.count());
        }
        if self.top_p < 1.0 {
            let weight = |group: &[usize]| group.iter().map(|&token| weights[token]).sum::<f64>();
            let share = f64::from(self.top_p) * groups.iter().map(|group| weight(group)).sum::<f64>();
            let mut sum = 0.0;
            let needed = groups.iter().take_while(|group| {
                let before = sum;
                sum += weight(group);
                before < share
            });
            groups.truncate(needed.count().max(1));
        }
        let mut kept = vec![false; logits.len()];
        for &token in groups.into_iter().flatten() {
            kept[token] = weights[token] >= f64::from(self.min_p);
        }
        kept
    }

    /// Logits below the greatest, by temperature.
    fn scaled(&self, logits: &[f32]) -> Vec<f64> {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scaled = |logit: f32| if logit == max { 0.0 } else { (logit - max) / self.temperature };
        logits.iter().map(|&logit| f64::from(scaled(logit))).collect()
    }

    /// Gumbel noise of a token.
    fn noise(&self, token: usize) -> f64 {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let [high, low] = threefry([self.position as u32, token as u32], key).map(f64::from);
        let uniform = high * 2f64.powi(-32) + (low + 0.5) * 2f64.powi(-64);
        -(-(-uniform.min(1.0 - 2f64.powi(-24))).ln_1p()).ln()
    }
}

/// Threefry-2x32 with 20 rounds, by the pseudocode of Salmon et al. 2011.
fn threefry(counter: [u32; 2], key: [u32; 2]) -> [u32; 2] {
    let keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD1_1BDA];
    let mut x = [counter[0].wrapping_add(keys[0]), counter[1].wrapping_add(keys[1])];
    for round in 0..20 {
        x[0] = x[0].wrapping_add(x[1]);
        x[1] = x[1].rotate_left([13, 15, 26, 6, 17, 29, 16, 24][round % 8]) ^ x[0];
        if round % 4 == 3 {
            let group = round / 4 + 1;
            x[0] = x[0].wrapping_add(keys[group % 3]);
            x[1] = x[1].wrapping_add(keys[(group + 1) % 3]).wrapping_add(group as u32);
        }
    }
    x
}
