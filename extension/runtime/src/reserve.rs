//! Memory for the moment when there is none.
//!
//! Rust ends the process when an allocation fails, and most allocations are too small and too many to ask for each whether it
//! was granted. So some address space is put aside, which costs no memory. When the system refuses an allocation, it is
//! given back, and the allocation is tried again. Work that runs checks before each row, with [`hold`], that the reserve is
//! there. Where it is gone and cannot be had again, the query fails and what it had computed is freed.
//!
//! Only a program can choose its allocator: a host makes [`ReserveAllocator`] its own. Without it the reserve is of no use,
//! and does no harm.
//!
//! What is larger than the reserve is allocated in a way that can fail: [`sam_model::NoMemory`].

use crate::failure::{Failure, Kind, Remedy, Result};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are put aside.
const SIZE: usize = 32 << 20;

/// Where they are; 0 while they are given back.
static PLACE: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator with a second try, for the host to use:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: sam_runtime::ReserveAllocator = sam_runtime::ReserveAllocator;
/// ```
pub struct ReserveAllocator;

// SAFETY: all memory is the system allocator's; that it is asked twice changes nothing in what it returns.
unsafe impl GlobalAlloc for ReserveAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the contract of `GlobalAlloc`, which is the system's too.
        twice(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        twice(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; after a refusal the old memory is as it was.
        twice(size, || unsafe { System.realloc(start, layout, size) })
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(start, layout) }
    }
}

#[inline]
fn twice(size: usize, allocate: impl Fn() -> *mut u8) -> *mut u8 {
    let start = allocate();
    match start.is_null() && size <= SIZE {
        true => again(allocate),
        false => start,
    }
}

#[cold]
fn again(allocate: impl Fn() -> *mut u8) -> *mut u8 {
    give_back();
    // Also where another thread has just given it back.
    allocate()
}

/// Puts the reserve aside, if it is not.
///
/// # Errors
/// The system has no more: what runs has to stop.
#[inline]
pub fn hold() -> Result<()> {
    match PLACE.load(Ordering::Relaxed) {
        0 => take(),
        _ => Ok(()),
    }
}

#[cold]
fn take() -> Result<()> {
    let place = reserve().ok_or_else(|| {
        Failure::new(Kind::Resources, "no memory is left: the process has come to the limit that the system sets")
            .with(Remedy::FreeMemory)
    })?;
    if PLACE.compare_exchange(0, place, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        release(place);
    }
    Ok(())
}

fn give_back() {
    match PLACE.swap(0, Ordering::AcqRel) {
        0 => {}
        place => release(place),
    }
}

#[cfg(unix)]
fn reserve() -> Option<usize> {
    let (access, kind) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANON);
    // SAFETY: a new mapping, which nothing can read or write.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, access, kind, -1, 0) };
    (place != libc::MAP_FAILED).then(|| place.expose_provenance())
}

#[cfg(unix)]
fn release(place: usize) {
    // SAFETY: the mapping came from `reserve`, and is released once, by who took its address out of `PLACE`.
    unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(place), SIZE) };
}

/// Nothing is put aside.
#[cfg(not(unix))]
fn reserve() -> Option<usize> {
    Some(usize::MAX)
}

#[cfg(not(unix))]
fn release(_place: usize) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn what_is_refused_is_tried_once_more() {
        let (tries, mut value) = (Cell::new(0), 0_u8);
        let start = &raw mut value;
        let second = || {
            tries.set(tries.get() + 1);
            if tries.get() == 2 { start } else { std::ptr::null_mut() }
        };
        assert_eq!(hold(), Ok(()));
        assert_eq!(twice(8, second), start);
        assert_eq!(hold(), Ok(()));
        tries.set(0);
        assert!(twice(SIZE + 1, second).is_null());
        assert_eq!(tries.get(), 1);
    }
}
