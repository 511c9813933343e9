//! Inputs: edge values of every element type, and random ones from a fixed seed.

use lapidary::graph::dtype::DTypeKind;
use lapidary::graph::element::{self, Scalar};
use lapidary::graph::interp::Tensor;
use lapidary::graph::{DType, TensorType};

/// Which values to draw from.
#[derive(Clone, Copy)]
pub(crate) enum Values {
    /// Any bit pattern.
    Any,
    /// Any bit pattern but NaNs, and subnormals that XLA's CPU runtime counts as zeros (see [`is_flushed`]).
    Ordinary,
    /// Floats of either sign with magnitudes from 1/16 to 16; integers from their whole range.
    Moderate,
    /// Whole numbers from -3 to 3 (0 to 3 if unsigned): their products and short sums are exact in every
    /// type.
    SmallWhole,
}

/// A deterministic source of values (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A tensor of random elements.
    pub(crate) fn tensor(&mut self, dtype: DType, dims: &[usize], values: Values) -> Tensor {
        let ty = TensorType::new(dtype, dims);
        let elements: Vec<Scalar> = (0..ty.num_elements()).map(|_| self.scalar(dtype, values)).collect();
        Tensor::from_scalars(ty, elements).unwrap()
    }

    fn scalar(&mut self, dtype: DType, values: Values) -> Scalar {
        let bits = self.next();
        if matches!(values, Values::Ordinary) {
            let any = self.scalar(dtype, Values::Any);
            return if is_flushed(dtype, any) || is_nan(any) { Scalar::Float(0.0) } else { any };
        }
        match (values, dtype.kind()) {
            (Values::Any | Values::Ordinary, _)
            | (Values::Moderate, DTypeKind::Signed | DTypeKind::Unsigned) => {
                element::read(dtype, &bits.to_le_bytes(), 0).unwrap()
            }
            (Values::Moderate, DTypeKind::Float) => {
                let fraction = (bits >> 12) as f64 / (1u64 << 52) as f64;
                let magnitude = 2f64.powf(fraction * 8.0 - 4.0);
                Scalar::Float(if bits & 1 == 0 { magnitude } else { -magnitude })
            }
            (Values::SmallWhole, DTypeKind::Unsigned) => Scalar::Int((bits % 4).into()),
            (Values::SmallWhole, DTypeKind::Signed) => Scalar::Int(i128::from(bits % 7) - 3),
            (Values::SmallWhole, DTypeKind::Float) => Scalar::Float((bits % 7) as f64 - 3.0),
            (_, DTypeKind::Boolean) => Scalar::Bool(bits & 1 == 1),
        }
    }
}

/// Values at which implementations differ.
pub(crate) fn edges(dtype: DType) -> Vec<Scalar> {
    match dtype.kind() {
        DTypeKind::Boolean => vec![Scalar::Bool(false), Scalar::Bool(true)],
        DTypeKind::Signed | DTypeKind::Unsigned => {
            let (min, max) = element::integer_range(dtype);
            let near = [-3, -2, -1, 0, 1, 2, 3, 5, 7].into_iter().filter(|i| (min..=max).contains(i));
            let mut edges: Vec<i128> = near.chain([min, min + 1, max - 1, max]).collect();
            edges.sort_unstable();
            edges.dedup();
            edges.into_iter().map(Scalar::Int).collect()
        }
        DTypeKind::Float => {
            let magnitudes = [
                0.0,
                0.25,
                0.5,
                0.75,
                1.0,
                1.5,
                2.0,
                2.5,
                3.0,
                std::f64::consts::PI,
                10.0,
                100.0,
                largest(dtype),
                smallest_normal(dtype),
                f64::INFINITY,
            ];
            let signed = magnitudes.into_iter().flat_map(|magnitude| [magnitude, -magnitude]);
            // Where there is no infinity, it becomes a NaN.
            let edges = signed.chain([f64::NAN]).map(Scalar::Float);
            edges.map(|edge| element::round(dtype, edge)).collect()
        }
    }
}

/// The largest finite value of a float type.
pub(crate) fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F8E4M3FN => 448.0,
        DType::F8E5M2 => 57344.0,
        DType::BF16 => f64::from(f32::from_bits(0x7f7f_0000)),
        DType::F16 => 65504.0,
        DType::F32 => f64::from(f32::MAX),
        _ => f64::MAX,
    }
}

/// The smallest positive normal value of a float type.
fn smallest_normal(dtype: DType) -> f64 {
    match dtype {
        DType::F8E4M3FN => 2f64.powi(-6),
        DType::F8E5M2 | DType::F16 => 2f64.powi(-14),
        DType::BF16 | DType::F32 => f64::from(f32::MIN_POSITIVE),
        _ => f64::MIN_POSITIVE,
    }
}

/// Whether a value is a subnormal that XLA's CPU runtime takes and gives as zero: it sets the processor to
/// flush those of f32 and f64, in which bf16 is computed too. Those of f16 and narrower are normal in f32.
pub(crate) fn is_flushed(dtype: DType, value: Scalar) -> bool {
    is_subnormal(dtype, value) && matches!(dtype, DType::BF16 | DType::F32 | DType::F64)
}

/// Whether a value is a subnormal float.
pub(crate) fn is_subnormal(dtype: DType, value: Scalar) -> bool {
    dtype.is_float() && value.as_f64() != 0.0 && value.as_f64().abs() < smallest_normal(dtype)
}

/// A vector of scalars.
pub(crate) fn vector(dtype: DType, scalars: Vec<Scalar>) -> Tensor {
    Tensor::from_scalars(TensorType::new(dtype, [scalars.len()]), scalars).unwrap()
}

/// Edge values, then random ones of any size and of moderate size.
pub(crate) fn one_operand(dtype: DType, random: &mut Random) -> Vec<Tensor> {
    let mut scalars = edges(dtype);
    scalars.extend(random.tensor(dtype, &[64], Values::Ordinary).scalars());
    scalars.extend(random.tensor(dtype, &[64], Values::Moderate).scalars());
    vec![vector(dtype, scalars)]
}

/// Every pair of edge values, then random pairs.
pub(crate) fn two_operands(dtype: DType, random: &mut Random) -> Vec<Tensor> {
    pairs(dtype, &edges(dtype), random)
}

/// The same without NaNs.
pub(crate) fn two_ordered_operands(dtype: DType, random: &mut Random) -> Vec<Tensor> {
    let edges: Vec<Scalar> = edges(dtype).into_iter().filter(|&edge| !is_nan(edge)).collect();
    pairs(dtype, &edges, random)
}

fn pairs(dtype: DType, edges: &[Scalar], random: &mut Random) -> Vec<Tensor> {
    let mut pairs: Vec<(Scalar, Scalar)> =
        edges.iter().flat_map(|&a| edges.iter().map(move |&b| (a, b))).collect();
    for values in [Values::Ordinary, Values::Moderate] {
        for _ in 0..64 {
            pairs.push((random.scalar(dtype, values), random.scalar(dtype, values)));
        }
    }
    let (lhs, rhs) = pairs.into_iter().unzip();
    vec![vector(dtype, lhs), vector(dtype, rhs)]
}

fn is_nan(value: Scalar) -> bool {
    matches!(value, Scalar::Float(float) if float.is_nan())
}
