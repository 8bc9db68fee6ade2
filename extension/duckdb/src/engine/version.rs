//! Which engine this is, and what of it depends on its release.

use super::ffi;
use std::ffi::CStr;

/// Entries of the band v1.2.0 of the C API, which every engine from 1.2 on has in the same order.
pub const OLD_BAND: usize = 404;

/// Entries of the bands v1.2.0 and v1.5.6.
pub const NEW_BAND: usize = 546;

/// A release of the engine. What is no release, such as a build of some commit, is all 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
    /// Whether it is the release, and not what comes before it and may lack parts of it.
    is_release: bool,
}

/// The release of the engine that has loaded us. It is not kept: what is made once would be waited for without end by a
/// child of a process that forked while another thread made it.
pub(super) fn of_engine() -> Version {
    // SAFETY: the engine returns a constant text.
    Version::parse(unsafe { CStr::from_ptr(ffi::duckdb_library_version()) }.to_bytes())
}

impl Version {
    /// Of a text such as `v1.5.6` or `v2.1.0-dev3`.
    pub const fn parse(text: &[u8]) -> Self {
        let mut version = Self { major: 0, minor: 0, patch: 0, is_release: false };
        let [b'v', rest @ ..] = text else { return version };
        let (mut numbers, mut index, mut at) = ([0_u32; 3], 0, 0);
        while at < rest.len() && index < 3 {
            match rest[at] {
                digit @ b'0'..=b'9' => {
                    numbers[index] = numbers[index].saturating_mul(10).saturating_add((digit - b'0') as u32)
                }
                b'.' => index += 1,
                _ => break,
            }
            at += 1;
        }
        [version.major, version.minor, version.patch] = numbers;
        version.is_release = at == rest.len();
        version
    }

    /// How many entries of its table of functions such an engine has in a fixed order.
    pub const fn band(self) -> usize {
        let Self { major, minor, patch, is_release } = self;
        match major > 1 || major == 1 && is_release && (minor > 5 || minor == 5 && patch >= 6) {
            true => NEW_BAND,
            false => OLD_BAND,
        }
    }

    /// Whether such an engine runs a function on a whole dictionary, where a column comes as one and it takes the
    /// function for one that cannot fail. That includes entries that no row has, because a filter or a limit has
    /// dropped their rows.
    pub const fn runs_dictionaries(self) -> bool {
        self.major == 1 && self.minor >= 4
    }

    /// Whether the vectors of such an engine begin with a byte that tells their form.
    pub const fn tells_form(self) -> bool {
        self.major == 1
    }

    /// Whether such an engine leaves constants inside the lists and structs that it passes to a function.
    pub const fn leaves_constants(self) -> bool {
        self.major == 1 && self.minor == 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_their_bands() {
        for version in ["v1.2.2", "v1.3.2", "v1.5.5", "v1.5.6-dev12", "v0.10.3", "", "8ef2c1", "v1.5"] {
            assert_eq!(Version::parse(version.as_bytes()).band(), OLD_BAND, "{version}");
        }
        for version in ["v1.5.6", "v1.5.10", "v1.6.0", "v2.0.0", "v2.1.0-dev3", "v10.0.0"] {
            assert_eq!(Version::parse(version.as_bytes()).band(), NEW_BAND, "{version}");
        }
    }

    #[test]
    fn which_engines_run_dictionaries() {
        let runs = |version: &str| Version::parse(version.as_bytes()).runs_dictionaries();
        assert!(["v1.4.0", "v1.4.4", "v1.5.6", "v1.5.0-dev7", "v1.6.1"].into_iter().all(runs));
        assert!(!["v1.2.2", "v1.3.2", "v2.0.0", "v2.0.0-dev1", "v10.4.0", "8ef2c1"].into_iter().any(runs));
    }
}
