//! Settings, from the environment: the C API lets an extension define none of its own in DuckDB 1.2 to 1.5.

use crate::failure::{Failure, Result};
use sam_model::Precision;
use std::num::NonZero;
use std::path::PathBuf;

/// Most threads that can be asked for.
const MAX_THREADS: usize = 256;

/// The limit on dense masks where the size of the memory is unknown.
const FALLBACK_MASK_BYTES: u64 = 4 << 30;

/// What the environment asks for; read once, when the extension is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Threads that rows are spread over (`SAM_THREADS`; all the process may use).
    pub threads: usize,
    /// What the encoder computes in (`SAM_PRECISION`: `auto`, `f32` or `bf16`; `auto`).
    pub precision: Precision,
    /// Where models are found by name (`SAM_MODEL_DIR`; `~/.duckdb/sam/models`).
    pub model_folder: Option<PathBuf>,
    /// Most bytes that the dense masks of one vector may take (`SAM_MASK_LIMIT_MB`; a quarter of the memory).
    pub mask_bytes: u64,
}

impl Settings {
    /// Reads the environment.
    pub fn from_environment() -> Result<Self> {
        Self::from_lookup(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let number = |name: &str, most: usize| {
            let Some(text) = lookup(name) else { return Ok(None) };
            match text.trim().parse() {
                Ok(value) if (1..=most).contains(&value) => Ok(Some(value)),
                _ => Err(Failure::new(format!("{name} = '{text}' is not a number between 1 and {most}"))),
            }
        };
        let all = || std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
        let default_folder = || Some(std::env::home_dir()?.join(".duckdb").join("sam").join("models"));
        Ok(Self {
            threads: number("SAM_THREADS", MAX_THREADS)?.unwrap_or_else(all),
            precision: match lookup("SAM_PRECISION") {
                Some(text) => text.trim().parse().map_err(|reason| Failure::new(format!("SAM_PRECISION: {reason}")))?,
                None => Precision::Auto,
            },
            model_folder: lookup("SAM_MODEL_DIR").map(PathBuf::from).or_else(default_folder),
            mask_bytes: match number("SAM_MASK_LIMIT_MB", 1 << 20)? {
                Some(megabytes) => megabytes as u64 * 1_000_000,
                None => memory().map_or(FALLBACK_MASK_BYTES, |bytes| bytes / 4),
            },
        })
    }
}

/// Bytes of memory that the process may use, where Linux tells: the machine's or the control group's.
fn memory() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_memory(&text));
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Settings> {
        Settings::from_lookup(|asked| (asked == name).then(|| value.to_string()))
    }

    #[test]
    fn has_defaults() {
        let settings = Settings::from_lookup(|_| None).unwrap();
        assert!(settings.threads >= 1);
        assert!(settings.mask_bytes > 0);
    }

    #[test]
    fn takes_what_the_environment_says() {
        assert_eq!(with("SAM_THREADS", " 3 ").unwrap().threads, 3);
        assert_eq!(with("SAM_PRECISION", "bf16").unwrap().precision, Precision::Bf16);
        assert_eq!(with("SAM_MODEL_DIR", "/models").unwrap().model_folder, Some("/models".into()));
        assert_eq!(with("SAM_MASK_LIMIT_MB", "5").unwrap().mask_bytes, 5_000_000);
    }

    #[test]
    fn names_what_is_out_of_range() {
        for value in ["0", "257", "-1", "many"] {
            let message = with("SAM_THREADS", value).unwrap_err().to_string();
            assert_eq!(message, format!("SAM_THREADS = '{value}' is not a number between 1 and 256"));
        }
    }

    #[test]
    fn names_an_unknown_precision() {
        let message = with("SAM_PRECISION", "f16").unwrap_err().to_string();
        assert_eq!(message, "SAM_PRECISION: precision 'f16' is unknown; it is one of auto, f32, bf16");
    }

    #[test]
    fn reads_the_size_of_the_memory() {
        assert_eq!(total_memory("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(total_memory("nothing"), None);
    }
}
