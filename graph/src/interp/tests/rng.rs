//! Expected bits are those of XLA's CPU compiler (jaxlib 0.10.2) for the same states and shapes.

use super::try_op;
use crate::interp::Tensor;
use crate::op::RngAlgorithm;
use crate::{DType, Module, Op, TensorType};

const STATE: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

/// The new state and the bits.
fn bits(algorithm: RngAlgorithm, state: &[u64], dtype: DType, dims: &[usize]) -> (Vec<u64>, Vec<u64>) {
    let words: Vec<i64> = state.iter().map(|&word| word as i64).collect();
    let state = Tensor::from_ints(DType::U64, &[state.len()], &words).unwrap();
    let op = Op::RngBitGenerator { algorithm, result: TensorType::new(dtype, dims) };
    let results = try_op(Module::new("test"), op, &[state]).unwrap();
    let [state, bits] = [0, 1].map(|i| results[i].to_ints().iter().map(|&word| word as u64).collect());
    (state, bits)
}

#[test]
fn three_fry_32_bit_words_pair_along_one_dimension() {
    let three_fry = |dims: &[usize]| bits(RngAlgorithm::ThreeFry, &STATE, DType::U32, dims);
    let advanced = |by| vec![STATE[0], STATE[1] + by];
    let first_six = [2933171071, 288411921, 3284946178, 2039365678, 2934253134, 2961824378];
    assert_eq!(three_fry(&[5]), (advanced(3), first_six[..5].to_vec()));
    assert_eq!(three_fry(&[]), (advanced(1), first_six[..1].to_vec()));
    assert_eq!(three_fry(&[3, 2]), (advanced(3), first_six.to_vec()));
    // No even dimension: the longest, padded, is split.
    let odd = [
        2933171071, 288411921, 3284946178, 2039365678, 2934253134, 1236338088, 2936704409, 3907330576,
        3723051394, 4037253752, 3802624568, 1077787540, 2900944550, 3285999743, 1456438002,
    ];
    assert_eq!(three_fry(&[3, 5]), (advanced(9), odd.to_vec()));
}

#[test]
fn three_fry_of_other_widths_and_a_counter_that_wraps() {
    let three_fry = |state: &[u64], dtype, dims: &[usize]| bits(RngAlgorithm::ThreeFry, state, dtype, dims);
    let words = [1238719771404706687, 8759008894879812866, 12720938842939795022];
    assert_eq!(three_fry(&STATE, DType::U64, &[3]), (vec![STATE[0], STATE[1] + 3], words.to_vec()));
    assert_eq!(three_fry(&STATE, DType::U8, &[5]).1, [127, 17, 2, 46, 78]);
    assert_eq!(three_fry(&STATE, DType::U16, &[3]).1, [41855, 53521, 19714]);
    let wrapped = [3493762567, 1599218323, 3901892970, 3158004665, 2964889903];
    assert_eq!(three_fry(&[7, u64::MAX], DType::U32, &[5]), (vec![7, 2], wrapped.to_vec()));
}

#[test]
fn philox_with_a_state_of_two_words() {
    for algorithm in [RngAlgorithm::Philox, RngAlgorithm::Default] {
        let (state, words) = bits(algorithm, &STATE, DType::U32, &[5]);
        assert_eq!(state, [STATE[0], STATE[1] + 2]);
        assert_eq!(words, [516242754, 3483603125, 4062402306, 3877632279, 3410436889]);
        let (state, words) = bits(algorithm, &[7, u64::MAX], DType::U32, &[3, 2]);
        assert_eq!(state, [7, 1]);
        assert_eq!(words, [3825527345, 2929620239, 4033760259, 866587273, 2720144846, 492154188]);
    }
}

#[test]
fn philox_with_a_state_of_three_words_carries() {
    let philox = |state: &[u64], dtype, dims: &[usize]| bits(RngAlgorithm::Philox, state, dtype, dims);
    let words = [4017057404, 1634864995, 201065378, 3840247100, 1292614439];
    assert_eq!(philox(&[5, u64::MAX, 9], DType::U32, &[5]), (vec![5, 1, 10], words.to_vec()));
    let words = [7021691690917260924, 16493735703259906978, 17760637682419743527];
    assert_eq!(philox(&[5, u64::MAX, 9], DType::U64, &[3]), (vec![5, 1, 10], words.to_vec()));
    assert_eq!(philox(&[1, 2, 3], DType::U8, &[5]).1, [74, 230, 5, 150, 235]);
    assert_eq!(philox(&[1, 2, 3], DType::U16, &[3]), (vec![1, 3, 3], vec![59210, 12518, 62469]));
}

#[test]
fn signed_bits_are_the_same_bits() {
    let (_, words) = bits(RngAlgorithm::Philox, &[1, 2, 3], DType::S32, &[3]);
    assert_eq!(
        words.iter().map(|&word| word as u32).collect::<Vec<_>>(),
        [4031113034, 1366700262, 495645701]
    );
}
