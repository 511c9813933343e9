//! What the machine can do at most.

use std::hint::black_box;
use std::time::{Duration, Instant};

#[cfg(target_arch = "x86_64")]
use lapidary_kernels::Instructions;
use lapidary_kernels::{Features, Pool};

#[cfg(target_arch = "x86_64")]
use super::tile_peak;

/// Words that are read to measure the bandwidth: more than caches hold.
const WORDS: usize = 64 << 20;

/// Steps of a loop of products: some hundred microseconds.
const STEPS: usize = 200_000;

/// How long loops of products are repeated: threads that have just begun may share a processor for some milliseconds.
const PRODUCTS_FOR: Duration = Duration::from_millis(300);

/// The memory's and the arithmetic units' limits, all threads together.
pub struct Limits {
    pool: &'static Pool,
    words: Vec<u64>,
    /// Operations a second in registers, of the best products of bf16 that the processor has.
    pub peak: f64,
    /// The least and the most bytes a second that were read.
    seen: (f64, f64),
}

impl Limits {
    pub fn measure(pool: &'static Pool) -> Self {
        let peak = peak(pool);
        let mut limits = Self { pool, words: vec![1; WORDS], peak, seen: (f64::INFINITY, 0.0) };
        limits.bandwidth();
        limits
    }

    /// Bytes a second that all threads read together at this moment, at best: other machines share the memory.
    pub fn bandwidth(&mut self) -> f64 {
        let part = self.words.len() / self.pool.threads();
        let mut best = f64::INFINITY;
        for _ in 0..2 {
            let started = Instant::now();
            self.pool.run(self.pool.threads(), &|index| {
                let words = &self.words[index * part..][..part];
                black_box(read(words));
            });
            best = best.min(started.elapsed().as_secs_f64());
        }
        let bandwidth = (part * self.pool.threads() * size_of::<u64>()) as f64 / best;
        self.seen = (self.seen.0.min(bandwidth), self.seen.1.max(bandwidth));
        bandwidth
    }

    /// All of it in words.
    pub fn describe(&self) -> String {
        format!(
            "{} threads, {}: reads {:.1} to {:.1} GB/s, products in registers {:.2} TFLOP/s.",
            self.pool.threads(),
            Features::detect(),
            self.seen.0 / 1e9,
            self.seen.1 / 1e9,
            self.peak / 1e12
        )
    }
}

/// Looks at all words, and asks for what comes well ahead, as the kernels do: the processor by itself asks too late, and
/// reads up to a third less.
fn read(words: &[u64]) -> u64 {
    /// Words of a cache line.
    const LINE: usize = 8;
    let (lines, rest) = words.as_chunks::<LINE>();
    let mut sums = [0; LINE];
    for line in lines {
        ask_for_what_follows(line);
        for (sum, word) in sums.iter_mut().zip(line) {
            *sum ^= word;
        }
    }
    sums.iter().chain(rest).fold(0, |sum, word| sum ^ word)
}

#[cfg(target_arch = "x86_64")]
fn ask_for_what_follows<T>(line: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
    let at = std::ptr::from_ref(line).cast::<i8>();
    // SAFETY: asking for an address reads nothing, whatever is there.
    unsafe {
        _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(8 << 10));
        _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(2 << 10));
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn ask_for_what_follows<T>(_line: &T) {}

/// Operations a second of products whose operands are in registers.
fn peak(pool: &Pool) -> f64 {
    let mut best = 0.0f64;
    let begun = Instant::now();
    while begun.elapsed() < PRODUCTS_FOR {
        let started = Instant::now();
        let operations = products(pool);
        best = best.max(operations / started.elapsed().as_secs_f64());
    }
    best
}

/// Has every thread multiply, and says how many operations that was.
fn products(pool: &Pool) -> f64 {
    let threads = pool.threads();
    #[cfg(target_arch = "x86_64")]
    {
        let features = Features::detect();
        if features.has(Instructions::AmxBf16) {
            // SAFETY: the processor has AMX, and the process may use it.
            pool.run(threads, &|_| unsafe { tile_peak::products(STEPS) });
            return (threads * STEPS * tile_peak::OPERATIONS) as f64;
        }
        if features.has(Instructions::Avx512Bf16) {
            // SAFETY: the processor has AVX-512 with bf16.
            pool.run(threads, &|_| unsafe { pairs(STEPS) });
            return (threads * STEPS * SUMS * 64) as f64;
        }
        if features.has(Instructions::Avx2) {
            // SAFETY: the processor has AVX2 and FMA.
            pool.run(threads, &|_| unsafe { fused_avx2(STEPS) });
            return (threads * STEPS * SUMS * LANES * 2) as f64;
        }
    }
    pool.run(threads, &|_| fused(STEPS));
    (threads * STEPS * SUMS * LANES * 2) as f64
}

/// Sums that are kept side by side, so that none waits for another.
const SUMS: usize = 12;

/// f32 of a sum.
const LANES: usize = 8;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
fn pairs(steps: usize) {
    use std::arch::x86_64::{__m512bh, __m512i, _mm512_dpbf16_ps, _mm512_set1_epi16, _mm512_setzero_ps};
    // SAFETY: both are 512 bits.
    let ones = unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi16(0x3f80)) };
    let mut sums = [_mm512_setzero_ps(); SUMS];
    for _ in 0..steps {
        sums = sums.map(|sum| _mm512_dpbf16_ps(sum, ones, ones));
    }
    black_box(sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fused_avx2(steps: usize) {
    fused(steps);
}

/// Inlined into a caller with better instructions, if there are.
#[inline(always)]
fn fused(steps: usize) {
    let factors = black_box([0.999_f32; LANES]);
    let mut sums = black_box([[1.0_f32; LANES]; SUMS]);
    for _ in 0..steps {
        for sum in &mut sums {
            for (sum, factor) in sum.iter_mut().zip(factors) {
                *sum = sum.mul_add(factor, factor);
            }
        }
    }
    black_box(sums);
}
