//! Colour guided filter (He, Sun, Tang, "Guided Image Filtering", 2013): a plane becomes a locally linear function of the
//! colours of a picture, so that its edges move to those of the picture.
//!
//! Means are over windows of `(2 radius + 1)^2` pixels, mirrored at the border, whose pixels are not repeated (-1 is 1). With
//! colours `I` (of three channels), their means `m` and covariances `S` in each window, and a plane `p`:
//!
//! - `c = mean(I p) - m mean(p)`, `a = (S + eps)^-1 c`, `b = mean(p) - a . m`;
//! - the result is `q = mean(a) . I + mean(b)`.
//!
//! Logits are clipped before, or a few that are very sure would decide on all around them. Where `q` agrees with them in
//! sign, it gets back what the clipping took, as a factor, so that they stay as sure as they were. No sign changes by it.
//!
//! `S + eps` is kept as its factors `L D L^T`. In grey pictures it is all but singular, and the determinant by which
//! cofactors are divided would be the difference of nearly equal numbers, lost in f32.
//!
//! Rows stream: sums along a row are kept for as many rows as a window is high, so that they stay in the cache. All sums
//! have one order for every instruction set; no sum runs on from pixel to pixel, so that none drifts.

use crate::Isa;
use crate::buffer::{AlignedVec, Scratch};
use crate::simd::{Kernel, Simd};

/// Widest windows.
const MAX_RADIUS: usize = 16;

// The planes that are kept for a picture. Each of its rows holds one row of every plane.
/// The colours, in units of bytes, less 128: sums of them and of their products are whole numbers, exact in f32.
const COLOURS: usize = 0;
/// Their means.
const MEANS: usize = 3;
/// `1 / d0`, `l10`, `l20`, `1 / d1`, `l21`, `1 / d2`.
const FACTORS: usize = 6;
const PLANES: usize = 12;

/// The filter with what it keeps of one picture: 48 bytes a pixel.
#[derive(Clone)]
pub struct GuidedFilter {
    radius: usize,
    /// Added to the variances, in units of bytes squared.
    eps: f32,
    size: (usize, usize),
    /// [row][plane][stride]
    planes: AlignedVec<f32>,
    scratch: Scratch,
}

/// A row in memory takes whole vectors.
fn stride(width: usize) -> usize {
    width.next_multiple_of(16)
}

impl GuidedFilter {
    /// A filter for windows of `2 radius + 1` pixels, 1 to 16 for the radius; `eps` is for colours of 0..1. It has no
    /// picture yet.
    pub fn new(radius: usize, eps: f32) -> Self {
        assert!((1..=MAX_RADIUS).contains(&radius), "radius {radius}");
        let (planes, scratch) = (AlignedVec::zeroed(0), Scratch::new());
        Self { radius, eps: eps * 255.0 * 255.0, size: (0, 0), planes, scratch }
    }

    /// Whether a picture of this height and width can be mirrored at its border.
    pub fn is_for(radius: usize, (height, width): (usize, usize)) -> bool {
        height.min(width) > radius
    }

    /// Prepares for the picture `rgb`, (height, width, 3), whose sides are longer than the radius. Memory is kept.
    pub fn prepare(&mut self, isa: Isa, rgb: &[u8], size: (usize, usize)) {
        let (height, width) = size;
        assert!(Self::is_for(self.radius, size), "{size:?}, radius {}", self.radius);
        assert_eq!(rgb.len(), height * width * 3, "picture of {size:?}");
        let needed = height * PLANES * stride(width);
        if self.planes.len() < needed {
            self.planes = AlignedVec::zeroed(0);
            self.planes = AlignedVec::zeroed(needed);
        }
        self.size = size;
        let [line, ring] = Windows::lengths(9, self.radius, width);
        let (line, ring, _) = self.scratch.take::<f32, f32, f32>([line, ring, 0]);
        isa.run(Prepare {
            rgb,
            size,
            eps: self.eps,
            planes: &mut self.planes[..needed],
            windows: Windows { radius: self.radius, width, quantities: 9, line, ring },
        });
    }

    /// Filters the logits `plane`, (height, width) of the picture, in place; they are clipped to `-clip..clip` on the way.
    pub fn apply(&mut self, isa: Isa, plane: &mut [f32], clip: f32) {
        let (height, width) = self.size;
        assert!(height > 0 && plane.len() == height * width, "plane of {:?}", self.size);
        let [line, ring] = Windows::lengths(4, self.radius, width);
        let (lines, first, second) = self.scratch.take::<f32, f32, f32>([2 * line, ring, ring]);
        let (one, other) = lines.split_at_mut(line);
        let windows = |line, ring| Windows { radius: self.radius, width, quantities: 4, line, ring };
        let (moments, coefficients) = (windows(one, first), windows(other, second));
        isa.run(Apply { plane, size: self.size, clip, planes: &self.planes, moments, coefficients });
    }
}

/// Sums over windows of rows that come one after the other, of several quantities for each pixel.
struct Windows<'a> {
    radius: usize,
    width: usize,
    quantities: usize,
    /// A row of each quantity, with room for the mirrored pixels: [quantity][radius, stride, radius and padding]
    line: &'a mut [f32],
    /// Sums along the last `2 radius + 1` rows: [row modulo that][quantity][stride]
    ring: &'a mut [f32],
}

impl Windows<'_> {
    /// Lengths of `line` and `ring`.
    fn lengths(quantities: usize, radius: usize, width: usize) -> [usize; 2] {
        let ring = (2 * radius + 1) * quantities * stride(width);
        [quantities * Self::line_length(radius, width), ring]
    }

    fn line_length(radius: usize, width: usize) -> usize {
        (stride(width) + 2 * radius).next_multiple_of(16)
    }

    /// Where the row of quantity `q` is written before it is pushed: `stride` values, of which `width` count.
    #[inline(always)]
    fn row(&mut self, q: usize) -> &mut [f32] {
        let at = q * Self::line_length(self.radius, self.width) + self.radius;
        &mut self.line[at..at + stride(self.width)]
    }

    /// Takes what was written to the rows of all quantities as row `y`.
    #[inline(always)]
    fn push<S: Simd>(&mut self, s: S, y: usize) {
        let Self { radius, width, quantities, .. } = *self;
        let (length, stride) = (Self::line_length(radius, width), stride(width));
        let slot = y % (2 * radius + 1) * quantities * stride;
        for q in 0..quantities {
            let line = &mut self.line[q * length..(q + 1) * length];
            for k in 1..=radius {
                line[radius - k] = line[radius + k];
                line[radius + width - 1 + k] = line[radius + width - 1 - k];
            }
            let sums = &mut self.ring[slot + q * stride..][..stride];
            let mut x = 0;
            while x < stride {
                // SAFETY: x + LANES <= stride, and stride + 2 radius <= length.
                unsafe {
                    let mut sum = s.load(line.as_ptr().add(x));
                    for k in 1..=2 * radius {
                        sum = s.add(sum, s.load(line.as_ptr().add(x + k)));
                    }
                    s.store(sums.as_mut_ptr().add(x), sum);
                }
                x += S::LANES;
            }
        }
    }

    /// Where the rows of the window around row `y` of `height` lie in the ring, mirrored at the border. They must have been
    /// pushed, and none after them but those up to `y + radius`.
    #[inline(always)]
    fn around(&self, y: usize, height: usize) -> [usize; 2 * MAX_RADIUS + 1] {
        let (radius, last) = (self.radius as isize, height as isize - 1);
        let mut rows = [0; 2 * MAX_RADIUS + 1];
        for (row, offset) in rows.iter_mut().zip(-radius..=radius) {
            let mirrored = last - (last - (y as isize + offset).abs()).abs();
            *row = mirrored as usize % (2 * self.radius + 1) * self.quantities * stride(self.width);
        }
        rows
    }

    /// Sums over the windows around the pixels from `x` on, which is a multiple of the vector's length below the width.
    #[inline(always)]
    fn sum<S: Simd>(&self, s: S, rows: &[usize; 2 * MAX_RADIUS + 1], q: usize, x: usize) -> S::F {
        let at = q * stride(self.width) + x;
        assert!(x + S::LANES <= stride(self.width) && q < self.quantities);
        // SAFETY: `rows` are starts of slots of the ring, as only `around` makes them; in each lie the rows of all
        // quantities.
        unsafe {
            let mut sum = s.load(self.ring.as_ptr().add(rows[0] + at));
            for row in &rows[1..=2 * self.radius] {
                sum = s.add(sum, s.load(self.ring.as_ptr().add(row + at)));
            }
            sum
        }
    }

    /// Pixels of a window.
    fn count(&self) -> f32 {
        ((2 * self.radius + 1) * (2 * self.radius + 1)) as f32
    }
}

/// Vector `x` of a row of a plane.
#[inline(always)]
fn at<S: Simd>(s: S, row: &[f32], x: usize) -> S::F {
    let values = &row[x..x + S::LANES];
    // SAFETY: as many values.
    unsafe { s.load(values.as_ptr()) }
}

#[inline(always)]
fn put<S: Simd>(s: S, row: &mut [f32], x: usize, v: S::F) {
    let values = &mut row[x..x + S::LANES];
    // SAFETY: as many values.
    unsafe { s.store(values.as_mut_ptr(), v) }
}

/// `a * b - c * d`
#[inline(always)]
fn difference<S: Simd>(s: S, a: S::F, b: S::F, c: S::F, d: S::F) -> S::F {
    s.sub(s.mul(a, b), s.mul(c, d))
}

/// What is kept of a picture.
struct Prepare<'a> {
    rgb: &'a [u8],
    size: (usize, usize),
    eps: f32,
    planes: &'a mut [f32],
    windows: Windows<'a>,
}

impl Kernel for Prepare<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (height, radius) = (self.size.0, self.windows.radius);
        for step in 0..height + radius {
            if step < height {
                self.products(s, step);
            }
            if let Some(y) = step.checked_sub(radius) {
                self.factors(s, y);
            }
        }
    }
}

impl Prepare<'_> {
    /// Colours of row `y`, and their products for the windows: rr, rg, rb, gg, gb, bb.
    #[inline(always)]
    fn products<S: Simd>(&mut self, s: S, y: usize) {
        let (width, stride) = (self.size.1, stride(self.size.1));
        let row = &mut self.planes[y * PLANES * stride..][COLOURS * stride..(COLOURS + 3) * stride];
        for (c, plane) in row.chunks_exact_mut(stride).enumerate() {
            let pixels = self.rgb[y * width * 3..(y + 1) * width * 3].chunks_exact(3);
            for (value, pixel) in plane.iter_mut().zip(pixels) {
                *value = f32::from(pixel[c]) - 128.0;
            }
            plane[width..].fill(0.0);
            self.windows.row(c).copy_from_slice(plane);
        }
        for (q, (i, j)) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)].into_iter().enumerate() {
            let (one, other) = (&row[i * stride..(i + 1) * stride], &row[j * stride..(j + 1) * stride]);
            let to = self.windows.row(3 + q);
            for x in (0..stride).step_by(S::LANES) {
                put(s, to, x, s.mul(at(s, one, x), at(s, other, x)));
            }
        }
        self.windows.push(s, y);
    }

    /// Means of row `y`, and the factors of its covariances.
    #[inline(always)]
    fn factors<S: Simd>(&mut self, s: S, y: usize) {
        let stride = stride(self.size.1);
        let rows = self.windows.around(y, self.size.0);
        let count = self.windows.count();
        let (n, mean, scale) = (s.splat(count), s.splat(1.0 / count), s.splat(1.0 / (count * count)));
        let (one, eps) = (s.splat(1.0), s.splat(self.eps));
        let out = &mut self.planes[y * PLANES * stride..(y + 1) * PLANES * stride];
        for x in (0..stride).step_by(S::LANES) {
            let mut sums = [n; 9];
            for (q, sum) in sums.iter_mut().enumerate() {
                *sum = self.windows.sum(s, &rows, q, x);
            }
            let [r, g, b, rr, rg, rb, gg, gb, bb] = sums;
            // (n sum(ij) - sum(i) sum(j)) / n^2
            let rr = s.add(s.mul(difference(s, n, rr, r, r), scale), eps);
            let rg = s.mul(difference(s, n, rg, r, g), scale);
            let rb = s.mul(difference(s, n, rb, r, b), scale);
            let gg = s.add(s.mul(difference(s, n, gg, g, g), scale), eps);
            let gb = s.mul(difference(s, n, gb, g, b), scale);
            let bb = s.add(s.mul(difference(s, n, bb, b, b), scale), eps);
            let d0 = s.div(one, rr);
            let (l10, l20) = (s.mul(rg, d0), s.mul(rb, d0));
            // No pivot is below eps but by rounding.
            let d1 = s.div(one, s.max(s.sub(gg, s.mul(l10, rg)), eps));
            let rest = s.sub(gb, s.mul(l10, rb));
            let l21 = s.mul(rest, d1);
            let d2 = s.div(one, s.max(s.sub(s.sub(bb, s.mul(l20, rb)), s.mul(l21, rest)), eps));
            for (c, sum) in [r, g, b].into_iter().enumerate() {
                put(s, out, (MEANS + c) * stride + x, s.mul(sum, mean));
            }
            for (f, factor) in [d0, l10, l20, d1, l21, d2].into_iter().enumerate() {
                put(s, out, (FACTORS + f) * stride + x, factor);
            }
        }
    }
}

/// One plane through the filter.
struct Apply<'a> {
    plane: &'a mut [f32],
    size: (usize, usize),
    clip: f32,
    planes: &'a [f32],
    /// Of `p` and `I p`.
    moments: Windows<'a>,
    /// Of `a` and `b`.
    coefficients: Windows<'a>,
}

impl Kernel for Apply<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (height, radius) = (self.size.0, self.moments.radius);
        for step in 0..height + 2 * radius {
            if step < height {
                self.moments(s, step);
            }
            if let Some(y) = step.checked_sub(radius).filter(|y| *y < height) {
                self.coefficients(s, y);
            }
            if let Some(y) = step.checked_sub(2 * radius) {
                self.values(s, y);
            }
        }
    }
}

impl Apply<'_> {
    /// Plane `plane` of row `y`.
    #[inline(always)]
    fn kept(&self, y: usize, plane: usize) -> &[f32] {
        let stride = stride(self.size.1);
        &self.planes[(y * PLANES + plane) * stride..][..stride]
    }

    #[inline(always)]
    fn moments<S: Simd>(&mut self, s: S, y: usize) {
        let (width, stride) = (self.size.1, stride(self.size.1));
        let (least, most) = (s.splat(-self.clip), s.splat(self.clip));
        let row = &self.plane[y * width..(y + 1) * width];
        for x in (0..stride).step_by(S::LANES) {
            let n = width.saturating_sub(x).min(S::LANES);
            // SAFETY: x + n <= width where n > 0; nothing is read where it is 0.
            let p = unsafe { s.load_n(row.as_ptr().wrapping_add(x), n) };
            let p = s.min(s.max(p, least), most);
            put(s, self.moments.row(0), x, p);
            for c in 0..3 {
                let product = s.mul(at(s, self.kept(y, COLOURS + c), x), p);
                put(s, self.moments.row(1 + c), x, product);
            }
        }
        self.moments.push(s, y);
    }

    #[inline(always)]
    fn coefficients<S: Simd>(&mut self, s: S, y: usize) {
        let stride = stride(self.size.1);
        let rows = self.moments.around(y, self.size.0);
        let scale = s.splat(1.0 / self.moments.count());
        for x in (0..stride).step_by(S::LANES) {
            let p = s.mul(self.moments.sum(s, &rows, 0, x), scale);
            let (mut m, mut c) = ([p; 3], [p; 3]);
            for i in 0..3 {
                m[i] = at(s, self.kept(y, MEANS + i), x);
                c[i] = s.sub(s.mul(self.moments.sum(s, &rows, 1 + i, x), scale), s.mul(m[i], p));
            }
            let mut factors = [p; 6];
            for (f, factor) in factors.iter_mut().enumerate() {
                *factor = at(s, self.kept(y, FACTORS + f), x);
            }
            let ([c0, c1, c2], [d0, l10, l20, d1, l21, d2]) = (c, factors);
            let c1 = s.sub(c1, s.mul(l10, c0));
            let c2 = s.sub(s.sub(c2, s.mul(l20, c0)), s.mul(l21, c1));
            let a2 = s.mul(c2, d2);
            let a1 = s.sub(s.mul(c1, d1), s.mul(l21, a2));
            let a0 = s.sub(s.sub(s.mul(c0, d0), s.mul(l10, a1)), s.mul(l20, a2));
            let b = s.sub(p, s.fma(a0, m[0], s.fma(a1, m[1], s.mul(a2, m[2]))));
            for (q, value) in [a0, a1, a2, b].into_iter().enumerate() {
                put(s, self.coefficients.row(q), x, value);
            }
        }
        self.coefficients.push(s, y);
    }

    #[inline(always)]
    fn values<S: Simd>(&mut self, s: S, y: usize) {
        let width = self.size.1;
        let rows = self.coefficients.around(y, self.size.0);
        let (scale, sure) = (s.splat(1.0 / self.coefficients.count()), s.splat(1.0 / self.clip));
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        for x in (0..width).step_by(S::LANES) {
            let mut value = self.coefficients.sum(s, &rows, 3, x);
            for c in 0..3 {
                value = s.fma(self.coefficients.sum(s, &rows, c, x), at(s, self.kept(y, COLOURS + c), x), value);
            }
            let n = (width - x).min(S::LANES);
            let row = &mut self.plane[y * width + x..][..n];
            // SAFETY: n values.
            let beyond = s.mul(unsafe { s.load_n(row.as_ptr(), n) }, sure);
            let value = s.mul(value, scale);
            let above = s.mul(s.max(value, zero), s.max(beyond, one));
            let below = s.mul(s.min(value, zero), s.max(s.sub(zero, beyond), one));
            // SAFETY: as above.
            unsafe { s.store_n(row.as_mut_ptr(), n, s.add(above, below)) };
        }
    }
}
