//! Where the rows of the left operand come from.

use crate::scalar::Scalar;

/// Row-major matrix: row `i` starts at `i * stride`; the last row may end with the slice.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a, T> {
    /// Elements.
    pub data: &'a [T],
    /// Elements from one row to the next.
    pub stride: usize,
}

impl<'a, T> Mat<'a, T> {
    /// A view of `data`.
    pub fn new(data: &'a [T], stride: usize) -> Self {
        Self { data, stride }
    }
}

/// As [`Mat`], to write to.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    /// Elements.
    pub data: &'a mut [T],
    /// Elements from one row to the next.
    pub stride: usize,
}

impl<'a, T> MatMut<'a, T> {
    /// A view of `data`.
    pub fn new(data: &'a mut [T], stride: usize) -> Self {
        Self { data, stride }
    }
}

/// Rows of a left operand, each made of equally long segments.
///
/// # Safety
/// For `row < rows()`, `segment_pointers` hands out exactly `segments()` pointers, each valid for `segment()` reads
/// while `self` lives.
pub unsafe trait Source<E: Scalar> {
    /// Rows there are.
    fn rows(&self) -> usize;
    /// Segments of a row.
    fn segments(&self) -> usize;
    /// Elements of a segment.
    fn segment(&self) -> usize;
    /// Calls `put(segment, pointer)` for each segment of `row`.
    fn segment_pointers(&self, row: usize, put: impl FnMut(usize, *const E));
    /// Elements from a row to the one `rows` further on, for prefetching; 0 where there is no such distance.
    fn ahead(&self, rows: usize) -> usize {
        let _ = rows;
        0
    }
}

/// The first `k` values of each row of a matrix.
#[derive(Clone, Copy)]
pub struct Rows<'a, E> {
    mat: Mat<'a, E>,
    k: usize,
    rows: usize,
}

impl<'a, E: Scalar> Rows<'a, E> {
    /// Rows `stride` apart, of which `k` values are used.
    pub fn new(data: &'a [E], stride: usize, k: usize) -> Self {
        assert!(k > 0 && stride >= k, "row of {k} at stride {stride}");
        let rows = if data.len() < k { 0 } else { (data.len() - k) / stride + 1 };
        Self { mat: Mat::new(data, stride), k, rows }
    }

    /// Rows of `k` values without gaps.
    pub fn dense(data: &'a [E], k: usize) -> Self {
        Self::new(data, k, k)
    }
}

// SAFETY: rows() was computed so that each row's k values are within the slice.
unsafe impl<E: Scalar> Source<E> for Rows<'_, E> {
    fn rows(&self) -> usize {
        self.rows
    }
    fn segments(&self) -> usize {
        1
    }
    fn segment(&self) -> usize {
        self.k
    }
    #[inline(always)]
    fn segment_pointers(&self, row: usize, mut put: impl FnMut(usize, *const E)) {
        assert!(row < self.rows);
        // SAFETY: row < rows(), see above.
        put(0, unsafe { self.mat.data.as_ptr().add(row * self.mat.stride) });
    }
    fn ahead(&self, rows: usize) -> usize {
        rows * self.mat.stride
    }
}

/// Output pixels of a 3x3 convolution over an NHWC image, as rows of nine segments (no intermediate matrix).
///
/// Two forms. [`Conv3x3::padded`]: an image without border, one zero pixel assumed around it, nine segments of
/// `channels` values; pack the weights with `merged = false`. [`Conv3x3::bordered`]: the image is stored with its
/// border of one pixel, three segments of `3 * channels`; pack with `merged = true`. The latter is for few channels.
#[derive(Clone, Copy)]
pub struct Conv3x3<'a, E> {
    image: &'a [E],
    zeros: &'a [E],
    height: usize,
    width: usize,
    channels: usize,
    stride: usize,
    out_width: usize,
    out_height: usize,
}

impl<'a, E: Scalar> Conv3x3<'a, E> {
    /// `image` is `[height][width][channels]`; `zeros` holds at least `channels` zeros.
    pub fn padded(image: &'a [E], zeros: &'a [E], height: usize, width: usize, channels: usize, stride: usize) -> Self {
        assert_eq!(image.len(), height * width * channels, "image of {height} x {width} x {channels}");
        assert!(zeros.len() >= channels && channels > 0 && stride > 0);
        let (out_height, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
        Self { image, zeros, height, width, channels, stride, out_width, out_height }
    }

    /// `image` is `[height + 2][width + 2][channels]`, the outermost pixels zero.
    pub fn bordered(image: &'a [E], height: usize, width: usize, channels: usize, stride: usize) -> Self {
        assert_eq!(image.len(), (height + 2) * (width + 2) * channels, "bordered {height} x {width} x {channels}");
        assert!(channels > 0 && stride > 0);
        let (out_height, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
        Self { image, zeros: &[], height, width, channels, stride, out_width, out_height }
    }

    /// Height and width of the output; its pixel (y, x) is row `y * width + x`.
    pub fn output_size(&self) -> (usize, usize) {
        (self.out_height, self.out_width)
    }
}

// SAFETY: every pointer is to a pixel (or three, bordered) inside the image, or to `zeros`; sizes checked at the start.
unsafe impl<E: Scalar> Source<E> for Conv3x3<'_, E> {
    fn rows(&self) -> usize {
        self.out_height * self.out_width
    }
    fn segments(&self) -> usize {
        if self.zeros.is_empty() { 3 } else { 9 }
    }
    fn segment(&self) -> usize {
        if self.zeros.is_empty() { 3 * self.channels } else { self.channels }
    }
    #[inline(always)]
    fn segment_pointers(&self, row: usize, mut put: impl FnMut(usize, *const E)) {
        // 32 bits: a division per row is noticed where there are few channels
        let (y, x) = (row as u32 / self.out_width as u32, row as u32 % self.out_width as u32);
        let (y, x) = (y as usize * self.stride, x as usize * self.stride);
        assert!(y < self.height);
        if self.zeros.is_empty() {
            for dy in 0..3 {
                let at = ((y + dy) * (self.width + 2) + x) * self.channels;
                // SAFETY: y + dy < height + 2 and x + 2 < width + 2.
                put(dy, unsafe { self.image.as_ptr().add(at) });
            }
            return;
        }
        for dy in 0..3 {
            for dx in 0..3 {
                let (py, px) = ((y + dy).wrapping_sub(1), (x + dx).wrapping_sub(1));
                let inside = py < self.height && px < self.width;
                let p = if inside {
                    // SAFETY: a pixel of the image.
                    unsafe { self.image.as_ptr().add((py * self.width + px) * self.channels) }
                } else {
                    self.zeros.as_ptr()
                };
                put(dy * 3 + dx, p);
            }
        }
    }
    fn ahead(&self, rows: usize) -> usize {
        rows * self.stride * self.channels
    }
}

/// Square patches without overlap of an NHWC image: rows of `size` segments of `size * channels` values. Pack the
/// weights with `merged = true`.
#[derive(Clone, Copy)]
pub struct Patches<'a, E> {
    image: &'a [E],
    width: usize,
    channels: usize,
    size: usize,
    rows: usize,
}

impl<'a, E: Scalar> Patches<'a, E> {
    /// `image` is `[height][width][channels]`, both sides multiples of `size`, `size` at most 16.
    pub fn new(image: &'a [E], height: usize, width: usize, channels: usize, size: usize) -> Self {
        assert_eq!(image.len(), height * width * channels, "image of {height} x {width} x {channels}");
        assert!((1..=16).contains(&size), "patches of {size}");
        assert!(height.is_multiple_of(size) && width.is_multiple_of(size), "patches of {size} in {height} x {width}");
        Self { image, width, channels, size, rows: (height / size) * (width / size) }
    }
}

// SAFETY: rows() counts whole patches, so each segment is inside the image.
unsafe impl<E: Scalar> Source<E> for Patches<'_, E> {
    fn rows(&self) -> usize {
        self.rows
    }
    fn segments(&self) -> usize {
        self.size
    }
    fn segment(&self) -> usize {
        self.size * self.channels
    }
    #[inline(always)]
    fn segment_pointers(&self, row: usize, mut put: impl FnMut(usize, *const E)) {
        assert!(row < self.rows);
        let across = self.width / self.size;
        let (y, x) = (row / across * self.size, row % across * self.size);
        for dy in 0..self.size {
            // SAFETY: inside the image, see above.
            put(dy, unsafe { self.image.as_ptr().add(((y + dy) * self.width + x) * self.channels) });
        }
    }
}
