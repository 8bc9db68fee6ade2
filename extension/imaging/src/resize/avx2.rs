//! The horizontal pass with AVX2.
//!
//! Three interleaved channels do not vectorise by themselves, and AVX2's 32-bit product is slow, so this takes two
//! rows at once, one per 128-bit lane, and sums pairs of taps with the product of 16-bit pairs. A weight has up to
//! 23 bits: it is split into its lower 15 and the rest, two sums of products are kept, and the final
//! `low + (high << 15)` equals the plain sum modulo 2^32, and therefore exactly.

use std::arch::x86_64::*;

use super::filter::{CHANNELS, Filter, HALF, PRECISION_BITS};

/// Taps handled together: 12 bytes of a row.
const GROUP: usize = 4;
/// Bits of a weight's lower part: what fits a signed 16-bit number.
const LOW_BITS: u32 = 15;
/// Readable bytes wanted behind a row: unused taps of the last group and the rest of its 16-byte load.
pub(super) const PADDING: usize = 16;

/// A filter's weights in the order of use.
pub(super) struct Packed {
    /// Per group of four taps, the 16-bit pairs (tap 0, tap 1) and (2, 3): low, high, low, high.
    groups: Vec<[i32; 4]>,
    /// First byte in the row and number of groups, per output pixel.
    spans: Vec<(usize, usize)>,
}

impl Packed {
    pub(super) fn new(filter: &Filter) -> Self {
        let mut groups = Vec::new();
        let mut spans = Vec::with_capacity(filter.start.len());
        for x in 0..filter.start.len() {
            let (first, weights) = filter.taps(x);
            for four in weights.chunks(GROUP) {
                let weight = |tap: usize| four.get(tap).copied().unwrap_or(0);
                let low = |tap| weight(tap) & ((1 << LOW_BITS) - 1) | (weight(tap + 1) & ((1 << LOW_BITS) - 1)) << 16;
                let high = |tap| weight(tap) >> LOW_BITS | weight(tap + 1) >> LOW_BITS << 16;
                groups.push([low(0), high(0), low(2), high(2)]);
            }
            spans.push((first * CHANNELS, weights.len().div_ceil(GROUP)));
        }
        Packed { groups, spans }
    }
}

/// Resizes two rows, each readable for [`PADDING`] bytes behind its end, into two rows of the new width.
///
/// # Safety
/// The processor has the features that are enabled here.
#[target_feature(enable = "avx2")]
pub(super) fn resize_rows(src: [&[u8]; 2], packed: &Packed, out: [&mut [u8]; 2]) {
    const NO: i8 = -1; // gives a zero byte
    // Bytes R0 G0 B0 R1 G1 B1 .. to 16-bit R0 R1 G0 G1 B0 B1, in each lane.
    let first_pair =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, NO, 3, NO, 1, NO, 4, NO, 2, NO, 5, NO, NO, NO, NO, NO));
    let second_pair =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(6, NO, 9, NO, 7, NO, 10, NO, 8, NO, 11, NO, NO, NO, NO, NO));
    let [out_a, out_b] = out.map(|row| row.as_chunks_mut::<CHANNELS>().0);
    let mut groups = &packed.groups[..];
    for ((&(start, count), pixel_a), pixel_b) in packed.spans.iter().zip(out_a).zip(out_b) {
        let (mine, rest) = groups.split_at(count);
        groups = rest;
        let length = (count - 1) * GROUP * CHANNELS + 16;
        let windows = src.map(|row| &row[start..start + length]);
        let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for (group, weights) in mine.iter().enumerate() {
            let [a, b] = windows.map(|window| load(window, group * GROUP * CHANNELS));
            let bytes = _mm256_set_m128i(b, a);
            let (first, second) = (_mm256_shuffle_epi8(bytes, first_pair), _mm256_shuffle_epi8(bytes, second_pair));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(first, _mm256_set1_epi32(weights[0])));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(first, _mm256_set1_epi32(weights[1])));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(second, _mm256_set1_epi32(weights[2])));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(second, _mm256_set1_epi32(weights[3])));
        }
        let sum = _mm256_add_epi32(low, _mm256_slli_epi32::<{ LOW_BITS as i32 }>(high));
        let level = _mm256_srai_epi32::<{ PRECISION_BITS as i32 }>(_mm256_add_epi32(sum, _mm256_set1_epi32(HALF)));
        let words = _mm256_packs_epi32(level, level);
        let bytes = _mm256_packus_epi16(words, words);
        let [a0, a1, a2, _] = _mm256_extract_epi32::<0>(bytes).to_le_bytes();
        let [b0, b1, b2, _] = _mm256_extract_epi32::<4>(bytes).to_le_bytes();
        *pixel_a = [a0, a1, a2];
        *pixel_b = [b0, b1, b2];
    }
}

/// Sixteen bytes from `at` on.
///
/// # Safety
/// The processor has the features that are enabled here.
#[inline]
#[target_feature(enable = "sse2")]
fn load(bytes: &[u8], at: usize) -> __m128i {
    let bytes: &[u8; 16] = bytes[at..].first_chunk().expect("rows are padded");
    // SAFETY: the reference covers the 16 bytes read, and the load asks for no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}
