//! Choosing tokens: filters, noise, penalties and log-probabilities.

use lapidary_graph::interp::Tensor;
use lapidary_graph::nn::{self, SamplingRows};
use lapidary_graph::{BuildError, DType, FunctionBuilder, ValueId};

use crate::harness::{assert_close, floats, ints, noise, run, run_one};
use crate::sampling_reference::Choice;

const LOWEST: f32 = f32::NEG_INFINITY;
const DRAW: Choice = Choice { temperature: 1.0, ..Choice::GREEDY };

fn logits(rows: &[Vec<f32>]) -> Tensor {
    let values: Vec<f64> = rows.iter().flatten().map(|&x| f64::from(x)).collect();
    floats(DType::F32, &[rows.len(), rows[0].len()], &values)
}

/// The parameters of `sample` after the logits.
fn parameters(choices: &[Choice]) -> [Tensor; 6] {
    let rows = choices.len();
    let float = |get: fn(&Choice) -> f32| {
        let values: Vec<f64> = choices.iter().map(|choice| f64::from(get(choice))).collect();
        floats(DType::F32, &[rows], &values)
    };
    let int = |get: fn(&Choice) -> i32| ints(&[rows], &choices.iter().map(get).collect::<Vec<_>>());
    let seeds: Vec<i64> = choices
        .iter()
        .flat_map(|choice| [choice.seed as u32, (choice.seed >> 32) as u32].map(i64::from))
        .collect();
    let seeds = Tensor::from_ints(DType::U32, &[rows, 2], &seeds).unwrap();
    [
        float(|c| c.temperature),
        int(|c| c.top_k),
        float(|c| c.top_p),
        float(|c| c.min_p),
        seeds,
        int(|c| c.position),
    ]
}

fn build(b: &mut FunctionBuilder<'_>, params: [ValueId; 7]) -> Result<ValueId, BuildError> {
    let [logits, temperature, top_k, top_p, min_p, seed, position] = params;
    nn::sample(b, logits, &SamplingRows { temperature, top_k, top_p, min_p, seed, position })
}

/// The token of each row.
fn sample(rows: &[Vec<f32>], choices: &[Choice]) -> Vec<usize> {
    let [a, b, c, d, e, f] = parameters(choices);
    let tokens = run_one([&logits(rows), &a, &b, &c, &d, &e, &f], build);
    assert_eq!((tokens.dtype(), tokens.dims()), (DType::S32, &[rows.len()][..]));
    tokens.to_ints().into_iter().map(|token| token as usize).collect()
}

/// Logits that are likely, unlikely, equal, excluded, and zeros of both signs.
fn mixed(seed: u64) -> Vec<f32> {
    let mut row: Vec<f32> =
        noise(DType::F32, &[23], 5.0, seed).to_floats().iter().map(|&x| x as f32).collect();
    row[3] = row[1];
    row[17] = row[1];
    row[5] = LOWEST;
    row[8] = 0.0;
    row[9] = -0.0;
    row
}

#[test]
fn threefry_gives_the_published_words() {
    // Random123's known-answer tests, threefry2x32 with 20 rounds.
    let u32s = |words: [u32; 3]| Tensor::from_ints(DType::U32, &[3], &words.map(i64::from)).unwrap();
    let key = [u32s([0, u32::MAX, 0x1319_8a2e]), u32s([0, u32::MAX, 0x0370_7344])];
    let counter = [u32s([0, u32::MAX, 0x243f_6a88]), u32s([0, u32::MAX, 0x85a3_08d3])];
    let words = run([&key[0], &key[1], &counter[0], &counter[1]], |b, [k0, k1, c0, c1]| {
        Ok(nn::threefry_2x32(b, [k0, k1], [c0, c1])?.to_vec())
    });
    assert_eq!(words[0].to_ints(), [0x6b20_0159, 0x1cb9_96fc, 0xc492_3a9c]);
    assert_eq!(words[1].to_ints(), [0x99ba_4efe, 0xbb00_2be7, 0x483d_f7a0]);
}

#[test]
fn every_combination_of_filters_chooses_what_the_reference_does() {
    let mut choices = Vec::new();
    for temperature in [0.0, 1e-3, 0.7, 1.0, 30.0] {
        for top_k in [0, 1, 2, 7, 23, 1000] {
            for top_p in [1.0, 0.999, 0.6, 1e-3, 1e-44] {
                for min_p in [0.0, 0.02, 1.0] {
                    let number = choices.len();
                    let seed = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64);
                    let position = (number % 5) as i32;
                    choices.push(Choice { temperature, top_k, top_p, min_p, seed, position });
                }
            }
        }
    }
    let rows: Vec<Vec<f32>> = (0..choices.len()).map(|row| mixed(row as u64 % 7)).collect();
    let tokens = sample(&rows, &choices);
    for ((row, choice), token) in rows.iter().zip(&choices).zip(tokens) {
        assert_eq!(token, choice.choose(row), "{choice:?} of {row:?}");
    }
}

/// The tokens that come up in many draws.
fn support(row: &[f32], choice: Choice) -> Vec<bool> {
    let choices: Vec<Choice> = (0..600).map(|seed| Choice { seed, ..choice }).collect();
    let mut support = vec![false; row.len()];
    sample(&vec![row.to_vec(); choices.len()], &choices).into_iter().for_each(|token| support[token] = true);
    support
}

#[test]
fn filters_keep_whole_groups_of_equal_tokens() {
    let row: Vec<f32> = [0.1f32, 0.25, 0.4, 0.25].iter().map(|p| p.ln()).collect();
    let [a, b] = [[false, true, true, true], [false, false, true, false]];
    for (choice, expected) in [
        (Choice { top_k: 1, ..DRAW }, b),
        (Choice { top_k: 2, ..DRAW }, a),
        (Choice { top_k: 3, ..DRAW }, a),
        (Choice { top_k: 4, ..DRAW }, [true; 4]),
        (Choice { top_k: i32::MAX, ..DRAW }, [true; 4]),
        (Choice { top_p: 0.39, ..DRAW }, b),
        (Choice { top_p: 0.41, ..DRAW }, a),
        (Choice { top_p: 0.89, ..DRAW }, a),
        (Choice { top_p: 0.91, ..DRAW }, [true; 4]),
        // 0.4 of the 0.9 that top-k leaves exceeds 0.44, so one token is enough.
        (Choice { top_k: 2, top_p: 0.44, ..DRAW }, b),
        (Choice { min_p: 0.62, ..DRAW }, a),
        (Choice { min_p: 0.63, ..DRAW }, b),
    ] {
        assert_eq!(choice.kept(&row), expected, "the reference on {choice:?}");
        assert_eq!(support(&row, choice), expected, "{choice:?}");
    }
    assert_eq!(support(&[-0.0, 0.0, -1.0], Choice { top_k: 1, ..DRAW }), [true, true, false]);
    assert_eq!(support(&[LOWEST, 0.0, LOWEST], DRAW), [false, true, false]);
}

#[test]
fn greedy_takes_the_first_of_the_greatest_whatever_the_filters() {
    let rows = [[1.0, 3.0, 3.0, -1.0], [LOWEST; 4], [LOWEST, -1.0, LOWEST, -1.0], [-0.0, 0.0, -1.0, -1.0]];
    let greedy = Choice { top_k: 1, top_p: 0.1, min_p: 1.0, seed: 9, ..Choice::GREEDY };
    let rows: Vec<Vec<f32>> = rows.iter().map(|row| row.to_vec()).collect();
    assert_eq!(sample(&rows, &[greedy; 4]), [1, 0, 1, 0]);
    // Also where another row draws.
    assert_eq!(sample(&rows, &[greedy, greedy, greedy, DRAW])[..3], [1, 0, 1]);
}

#[test]
fn a_row_draws_the_same_in_any_company() {
    let row = mixed(3);
    let choices: Vec<Choice> = (0..6)
        .map(|i| Choice { seed: u64::MAX - i, position: i as i32, temperature: 2.0, top_p: 0.9, ..DRAW })
        .collect();
    let together = sample(&vec![row.clone(); 6], &choices);
    let alone: Vec<usize> =
        choices.iter().map(|choice| sample(std::slice::from_ref(&row), &[*choice])[0]).collect();
    assert_eq!(together, alone);
    let other_seeds: Vec<Choice> =
        choices.iter().map(|c| Choice { seed: c.seed ^ (1 << 40), ..*c }).collect();
    assert_ne!(together, sample(&vec![row; 6], &other_seeds), "the seed's upper word counts");
}

/// Pearson's statistic of the tokens that rows draw, one seed and position each, against what is expected.
fn chi_square(row: &[f32], choice: Choice, rows: usize, expected: &[f64]) -> f64 {
    let choices: Vec<Choice> =
        (0..rows).map(|i| Choice { seed: (i / 16) as u64, position: (i % 16) as i32, ..choice }).collect();
    let mut counts = vec![0.0; row.len()];
    sample(&vec![row.to_vec(); rows], &choices).into_iter().for_each(|token| counts[token] += 1.0);
    let terms = counts.iter().zip(expected).map(|(count, p)| {
        let expected = p * rows as f64;
        if *p == 0.0 {
            if *count == 0.0 { 0.0 } else { f64::INFINITY }
        } else {
            (count - expected).powi(2) / expected
        }
    });
    terms.sum()
}

#[test]
fn draws_follow_the_distribution() {
    let p = [0.30, 0.02, 0.18, 0.25, 0.05, 0.10, 0.04, 0.06];
    let row: Vec<f32> = p.iter().map(|p: &f64| p.ln() as f32 + 3.0).collect();
    // 99.9% of draws from the right distribution stay below 24.3 (7 degrees of freedom) or 13.8 (2 degrees).
    let statistic = chi_square(&row, DRAW, 1500, &p);
    assert!(statistic < 24.3, "{statistic}");
    let tempered: Vec<f64> = p.iter().map(|p| p.sqrt()).collect();
    let total: f64 = tempered.iter().sum();
    let tempered: Vec<f64> = tempered.iter().map(|p| p / total).collect();
    let statistic = chi_square(&row, Choice { temperature: 2.0, ..DRAW }, 1000, &tempered);
    assert!(statistic < 24.3, "{statistic}");
    let top = [0.30 / 0.73, 0.0, 0.18 / 0.73, 0.25 / 0.73, 0.0, 0.0, 0.0, 0.0];
    for filter in [Choice { top_k: 3, ..DRAW }, Choice { top_p: 0.7, ..DRAW }, Choice { min_p: 0.5, ..DRAW }]
    {
        let statistic = chi_square(&row, filter, 400, &top);
        assert!(statistic < 13.8, "{filter:?}: {statistic}");
    }
    // The test can fail: at another temperature the draws are another distribution's.
    assert!(chi_square(&row, Choice { temperature: 2.0, ..DRAW }, 600, &p) > 24.3);
}

#[test]
fn noise_is_that_of_a_gumbel_distribution_far_into_its_tail() {
    let batch = 40;
    let seeds =
        Tensor::from_ints(DType::U32, &[batch, 2], &(0..2 * batch as i64).collect::<Vec<_>>()).unwrap();
    let positions = ints(&[batch], &vec![7; batch]);
    let values =
        run_one([&seeds, &positions], |b, [seed, position]| nn::gumbel(b, seed, position, 1000)).to_floats();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    // Euler's constant and pi^2 / 6, within four standard errors.
    assert!((mean - 0.577_216).abs() < 4.0 * (1.644_934 / count).sqrt(), "{mean}");
    assert!((variance - 1.644_934).abs() < 4.0 * (4.4f64 / count).sqrt() * 1.644_934, "{variance}");
    let mut sorted = values;
    sorted.sort_by(f64::total_cmp);
    let ties = sorted.windows(2).filter(|pair| pair[0] == pair[1] && pair[0] > 3.0).count();
    assert_eq!(ties, 0, "noise that decides is fine-grained");
}

#[test]
fn seen_tokens_are_penalised() {
    let tokens = ints(&[3, 4], &[1, 1, 4, 0, 3, 9, 2, 2, 0, 0, 0, 0]);
    let logits = floats(
        DType::F32,
        &[3, 5],
        &[1.0, 3.0, -2.0, 0.0, -1.0, 1.0, 1.0, 1.0, 4.0, 1.0, 5.0, 1.0, 1.0, 1.0, 1.0],
    );
    let results = run([&tokens, &ints(&[3], &[3, 2, 0]), &logits, &ints(&[3], &[2, -1, 4])], |b, params| {
        let [tokens, count, logits, more] = params;
        let penalty = b.splat(2.0, &b.ty(count)?.with_dtype(DType::F32))?;
        let seen = nn::seen_tokens(b, tokens, count, 5)?;
        let later = nn::see_token(b, seen, more)?;
        Ok(vec![
            nn::repetition_penalty(b, logits, seen, penalty)?,
            nn::repetition_penalty(b, logits, later, penalty)?,
        ])
    });
    assert_close(
        &results[0],
        &[1.0, 1.5, -2.0, 0.0, -2.0, 1.0, 1.0, 1.0, 2.0, 1.0, 5.0, 1.0, 1.0, 1.0, 1.0],
        0.0,
    );
    assert_close(
        &results[1],
        &[1.0, 1.5, -4.0, 0.0, -2.0, 1.0, 1.0, 1.0, 2.0, 1.0, 5.0, 1.0, 1.0, 1.0, 0.5],
        0.0,
    );
}

#[test]
fn logprobs_are_those_of_the_softmax() {
    let rows = [vec![0.5, 2.0, 2.0, -1.0, LOWEST], vec![LOWEST, LOWEST, 7.0, LOWEST, LOWEST]];
    let results = run([&logits(&rows), &ints(&[2], &[3, 2])], |b, [logits, token]| {
        let total = nn::log_sum_exp(b, logits)?;
        let top = nn::top_logprobs(b, logits, total, 4)?;
        let logit = nn::token_logit(b, logits, token)?;
        Ok(vec![b.sub(logit, total)?, top.tokens, top.logprobs])
    });
    let total = (0.5f64.exp() + 2.0 * 2f64.exp() + (-1f64).exp()).ln();
    assert_close(&results[0], &[-1.0 - total, 0.0], 1e-6);
    assert_eq!(results[1].to_ints(), [1, 2, 0, 3, 2, 0, 1, 3]);
    let expected = [2.0, 2.0, 0.5, -1.0].map(|logit| logit - total);
    let logprobs = results[2].to_floats();
    for (got, expected) in logprobs.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6, "{got} {expected}");
    }
    assert_eq!(logprobs[4..], [0.0, f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY]);
}

#[test]
fn logits_that_make_no_distribution_are_found() {
    let (nan, infinity) = (f32::NAN, f32::INFINITY);
    let rows = [[0.0, nan, infinity], [LOWEST, 1.0, infinity], [LOWEST, 0.0, f32::MAX], [LOWEST; 3]];
    let rows: Vec<Vec<f32>> = rows.iter().map(|row| row.to_vec()).collect();
    let first = run_one([&logits(&rows)], |b, [logits]| nn::first_non_finite(b, logits));
    assert_eq!(first.to_ints(), [1, 2, i128::from(i32::MAX), i128::from(i32::MAX)]);
}
