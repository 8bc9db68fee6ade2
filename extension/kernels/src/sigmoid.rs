//! Logits to probabilities. A mask has as many of them as the picture has pixels, so the exponential is written
//! such that the compiler vectorises it.

/// Writes `1 / (1 + exp(-x))` of each logit; the absolute error is below 2e-7.
pub fn sigmoid(logits: &[f32], probabilities: &mut [f32]) {
    for (probability, &logit) in probabilities.iter_mut().zip(logits) {
        *probability = 1.0 / (1.0 + exp(-logit));
    }
}

/// `exp(x)` with a relative error below 3e-7 for |x| <= 87, and the value at the nearer end outside.
fn exp(x: f32) -> f32 {
    // x = k ln 2 + r with |r| <= ln 2 / 2. Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    // Taylor up to r^7: the next term is below 6e-9.
    let series = [1.0, 1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    let polynomial = series.iter().rev().fold(0.0, |sum, coefficient| sum * r + coefficient);
    // 2^k by its bits: the low bits of `shifted` hold k.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    polynomial * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_sigmoid() {
        let logits: Vec<f32> = (-200_000..=200_000).map(|step| step as f32 * 5e-4).collect();
        let mut probabilities = vec![0.0; logits.len()];
        sigmoid(&logits, &mut probabilities);
        for (&logit, &probability) in logits.iter().zip(&probabilities) {
            let exact = 1.0 / (1.0 + (-f64::from(logit)).exp());
            assert!((f64::from(probability) - exact).abs() < 2e-7, "{logit}: {probability} instead of {exact}");
        }
    }

    #[test]
    fn keeps_the_side_of_the_threshold_and_the_range() {
        let logits = [0.0, 1e-3, -1e-3, 1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY];
        let mut probabilities = [2.0; 7];
        sigmoid(&logits, &mut probabilities);
        assert_eq!(probabilities[0], 0.5);
        assert!(probabilities[1] > 0.5 && probabilities[2] < 0.5);
        assert!(probabilities.iter().all(|probability| (0.0..=1.0).contains(probability)));
    }
}
