//! Functions in f64, to compare with.

/// erf by series and continued fraction, to about 1e-14.
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a > 6.0 {
        return x.signum();
    }
    if a < 2.5 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-18 * sum.abs() + 1e-300 {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
            if n > 200.0 {
                break;
            }
        }
        return sum * 2.0 / std::f64::consts::PI.sqrt();
    }
    let mut f = 0.0;
    for k in (1..=80).rev() {
        f = f64::from(k) / 2.0 / (a + f);
    }
    x.signum() * (1.0 - (-a * a).exp() / std::f64::consts::PI.sqrt() / (a + f))
}

/// x/2 erfc(-x / sqrt 2), without cancellation for negative x.
pub fn gelu(x: f64) -> f64 {
    if x.abs() < 2f64.powi(-12) {
        return 0.5 * x + x * x / std::f64::consts::TAU.sqrt(); // the next term is x^4 / 15
    }
    if x > 40.0 {
        return x;
    }
    let z = -x / std::f64::consts::SQRT_2;
    if z < 2.5 {
        return 0.5 * x * (1.0 - erf(z));
    }
    if z > 28.0 {
        return 0.0;
    }
    let mut f = 0.0;
    for k in (1..=80).rev() {
        f = f64::from(k) / 2.0 / (z + f);
    }
    0.5 * x * (-z * z).exp() / std::f64::consts::PI.sqrt() / (z + f)
}
