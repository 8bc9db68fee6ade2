//! Large pages for large results.
//!
//! Dense masks fill megabytes of memory that the engine has just taken from the system, and the system hands that out
//! page by page, at the first write to each. With pages of 2 MiB instead of 4 KiB it does so 512 times less often.

/// Results smaller than this are left alone: they lie in memory that the engine has used before.
const LEAST: usize = 8 << 20;

/// Asks the system to back `values`, which are about to be written, by large pages where it has them.
pub(super) fn enlarge<T>(values: &mut [T]) {
    let bytes = size_of_val(values);
    if bytes >= LEAST {
        advise(values.as_mut_ptr().addr(), bytes);
    }
}

#[cfg(target_os = "linux")]
fn advise(start: usize, bytes: usize) {
    // SAFETY: asks for a constant of the system.
    let Ok(page) = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }) else { return };
    let first = start.next_multiple_of(page.max(1));
    let last = start + bytes;
    if first < last {
        // SAFETY: the pages lie in one live allocation; the advice changes how they are backed, never what they hold.
        // That it may be refused (an old system, or one without large pages) is all the same.
        unsafe { libc::madvise(first as *mut libc::c_void, last - first, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_start: usize, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay() {
        let mut values: Vec<u32> = (0..LEAST as u32 / 2).collect();
        enlarge(&mut values[3..]);
        assert!(values.iter().copied().eq(0..LEAST as u32 / 2));
    }
}
