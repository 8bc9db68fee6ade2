//! The weights of filters, as Pillow rounds them.

/// Fractional bits of a weight: 32 minus 8 for the pixel, minus 2 for overshoot of other filters.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;
pub(super) const HALF: i32 = 1 << (PRECISION_BITS - 1);
pub(super) const CHANNELS: usize = 3;

/// What weight a pixel has by its distance, in pixels of the smaller picture.
pub(super) struct Kernel {
    /// From where on there is no weight.
    radius: f64,
    weight: fn(f64) -> f64,
}

/// Pillow's `BILINEAR`.
pub(super) const TRIANGLE: Kernel = Kernel { radius: 1.0, weight: |distance| (1.0 - distance.abs()).max(0.0) };

/// Pillow's `LANCZOS`.
pub(super) const LANCZOS: Kernel = Kernel {
    radius: 3.0,
    weight: |distance| {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
        if (-3.0..3.0).contains(&distance) { sinc(distance) * sinc(distance / 3.0) } else { 0.0 }
    },
};

/// The weights of one direction: for each output position, the first input position and its weights.
pub(super) struct Filter {
    /// First input index per output index.
    pub(super) start: Vec<usize>,
    /// Number of weights per output index, 1..=`stride`.
    len: Vec<usize>,
    /// `stride` weights per output index, the unused ones zero.
    weights: Vec<i32>,
    pub(super) stride: usize,
}

impl Filter {
    pub(super) fn new(kernel: &Kernel, input: u32, output: u32) -> Self {
        let scale = f64::from(input) / f64::from(output);
        // Enlarging keeps the kernel; shrinking stretches it over all pixels it replaces.
        let stretch = scale.max(1.0);
        let support = kernel.radius * stretch;
        let stride = support.ceil() as usize * 2 + 1;
        let outputs = output as usize;
        let mut filter = Filter {
            start: Vec::with_capacity(outputs),
            len: Vec::with_capacity(outputs),
            weights: vec![0; outputs * stride],
            stride,
        };
        let mut exact = vec![0f64; stride];
        for (position, row) in filter.weights.chunks_exact_mut(stride).enumerate() {
            let center = (position as f64 + 0.5) * scale;
            // The casts truncate toward zero, as C's do; both values are clamped to the picture.
            let first = ((center - support + 0.5) as i64).max(0);
            let last = ((center + support + 0.5) as i64).min(i64::from(input));
            let len = (last - first) as usize;
            let mut sum = 0.0;
            for (offset, weight) in exact[..len].iter_mut().enumerate() {
                // Pillow multiplies by the reciprocal; dividing rounds differently now and then.
                let distance = ((offset as i64 + first) as f64 - center + 0.5) * (1.0 / stretch);
                *weight = (kernel.weight)(distance);
                sum += *weight;
            }
            for (fixed, weight) in row.iter_mut().zip(&exact[..len]) {
                let share = if sum != 0.0 { weight / sum } else { *weight };
                *fixed = (0.5f64.copysign(share) + share * f64::from(1u32 << PRECISION_BITS)) as i32;
            }
            filter.start.push(first as usize);
            filter.len.push(len);
        }
        filter
    }

    /// Those for some of the outputs.
    pub(super) fn part(&self, outputs: std::ops::Range<usize>) -> Self {
        let weights = self.weights[outputs.start * self.stride..outputs.end * self.stride].to_vec();
        Self {
            start: self.start[outputs.clone()].to_vec(),
            len: self.len[outputs].to_vec(),
            weights,
            stride: self.stride,
        }
    }

    /// First input index and weights for one output index.
    pub(super) fn taps(&self, position: usize) -> (usize, &[i32]) {
        let at = position * self.stride;
        (self.start[position], &self.weights[at..at + self.len[position]])
    }
}
