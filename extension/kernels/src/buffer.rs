//! Memory for packed weights and activations: aligned to a cache line, zeroed, of fixed length.

use crate::memory::{NoMemory, filled};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// Types for which any bit pattern, all zeros included, is a value: what an [`AlignedVec`] can hold.
///
/// # Safety
/// As said; the size divides 64 and the alignment is at most 64.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}
// SAFETY: plain numbers of 1, 2 and 4 bytes.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}
// SAFETY: as above; `Bf16` is a transparent u16.
unsafe impl Plain for crate::Bf16 {}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A slice on the heap that starts on a cache line.
#[derive(Clone)]
pub struct AlignedVec<T> {
    lines: Vec<Line>,
    len: usize,
    item: PhantomData<T>,
}

impl<T: Plain> AlignedVec<T> {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let lines = (len * size_of::<T>()).div_ceil(64);
        Self { lines: filled(Line([0; 64]), lines), len, item: PhantomData }
    }

    /// A copy of `items`.
    pub(crate) fn copy_of(items: &[T]) -> Self {
        let mut v = Self::zeroed(items.len());
        v.copy_from_slice(items);
        v
    }
}

impl<T: Plain> Deref for AlignedVec<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` items, and any bits are a value of `T`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Plain> DerefMut for AlignedVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// Working memory of a kernel, one per worker, grown to the largest request and kept.
#[derive(Clone, Default)]
pub struct Scratch {
    lines: Vec<Line>,
}

impl Scratch {
    /// Nothing reserved yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Three disjoint buffers of `n` items each as asked; their contents are whatever was left there.
    pub(crate) fn take<A: Plain, B: Plain, C: Plain>(&mut self, n: [usize; 3]) -> (&mut [A], &mut [B], &mut [C]) {
        let lines = [n[0] * size_of::<A>(), n[1] * size_of::<B>(), n[2] * size_of::<C>()].map(|b| b.div_ceil(64));
        let total: usize = lines.iter().sum();
        if self.lines.len() < total {
            if self.lines.try_reserve_exact(total - self.lines.len()).is_err() {
                NoMemory::raise(total * size_of::<Line>());
            }
            self.lines.resize(total, Line([0; 64]));
        }
        let (a, rest) = self.lines.split_at_mut(lines[0]);
        let (b, c) = rest.split_at_mut(lines[1]);
        (view(a, n[0]), view(b, n[1]), view(c, n[2]))
    }
}

fn view<T: Plain>(lines: &mut [Line], len: usize) -> &mut [T] {
    assert!(len * size_of::<T>() <= size_of_val(lines));
    // SAFETY: checked above; any initialised bits are a value of `T`.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), len) }
}

/// A buffer whose disjoint parts several workers write at the same time; who hands it out sees to it that they are.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: a pointer into a buffer that is borrowed exclusively; who reads or writes through it is unsafe code, which
// keeps to the parts it was given.
unsafe impl<T: Plain> Sync for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Send for Shared<'_, T> {}

impl<'a, T: Plain> Shared<'a, T> {
    /// Lends `items` out in parts.
    pub(crate) fn new(items: &'a mut [T]) -> Self {
        Self { start: items.as_mut_ptr(), len: items.len(), life: PhantomData }
    }

    /// Start of `n` items from `at`; panics where they leave the buffer.
    pub(crate) fn at(&self, at: usize, n: usize) -> *mut T {
        assert!(at + n <= self.len, "{at} + {n} of {}", self.len);
        // SAFETY: in bounds.
        unsafe { self.start.add(at) }
    }
}
