//! Settings of a session and of its clients.

use crate::failure::LimitSource;
use sam_imaging::Limits;
use sam_model::Precision;
use std::num::NonZero;
use std::path::PathBuf;

/// Most threads that can be asked for.
pub const MAX_THREADS: usize = 256;

/// What is taken for the size of the memory where it is unknown.
const FALLBACK_MEMORY: u64 = 16 << 30;

/// The default size of the cache, where it is less than an eighth of the memory.
const CACHE_BYTES: u64 = 512_000_000;

/// The settings of a session, which all its clients share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Threads that rows are spread over, 1 to [`MAX_THREADS`], or the nearest of these; any number gives the same masks. The
    /// default is all cores.
    pub threads: usize,
    /// What image encoders compute in.
    pub precision: Precision,
    /// Most bytes of results that are cached; 0 caches nothing. The default is 512 MB, but at most an eighth of the memory.
    pub cache_bytes: u64,
}

/// The settings that every client has of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// Where models are found by name. The default is none.
    pub model_folder: Option<PathBuf>,
    /// The setting of the host that forbids to open files of models, if they may not be opened.
    pub files_refused_by: Option<&'static str>,
    /// How much the results of one batch may take.
    pub results: ResultLimit,
    /// What becomes of a row that fails.
    pub on_error: OnError,
    /// What images are decoded.
    pub images: Limits,
}

/// Most bytes that the dense masks or the embeddings of one batch may take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultLimit {
    /// So many. The default is a quarter of the memory.
    pub bytes: u64,
    /// Who has set it: what a failure tells to change.
    pub set_by: LimitSource,
}

/// What becomes of a row whose values are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The batch fails, with the failure of its first row that fails.
    Fail,
    /// The row has no result, and is listed in [`crate::ErrorLog`].
    Skip,
}

impl Default for Settings {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
        Self { threads, precision: Precision::Auto, cache_bytes: CACHE_BYTES.min(memory() / 8) }
    }
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            model_folder: None,
            files_refused_by: None,
            results: ResultLimit { bytes: memory() / 4, set_by: LimitSource::Settings },
            on_error: OnError::Fail,
            images: Limits::default(),
        }
    }
}

/// Bytes of memory that the process may use: the machine's or the control group's, where Linux tells.
fn memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_memory(&text));
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min().unwrap_or(FALLBACK_MEMORY)
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_machine() {
        let (settings, client) = (Settings::default(), ClientSettings::default());
        assert!((1..=MAX_THREADS).contains(&settings.threads));
        assert!(settings.cache_bytes <= CACHE_BYTES && client.results.bytes > 0);
    }

    #[test]
    fn reads_the_size_of_the_memory() {
        assert_eq!(total_memory("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(total_memory("nothing"), None);
    }
}
