//! Settings: those of the process and those that every database has of its own. They begin as what the environment says
//! when the process loads the extension first, and are changed by `sam_configure`. From DuckDB 1.5.6 on a database's can
//! also be given by `SET`, for one connection or with `SET GLOBAL` for the database, which then has precedence.

use super::Access;
use super::resolve::expand_home;
use crate::failure::{Failure, Result};
use sam_imaging::Limits;
use sam_model::Precision;
use std::ffi::CStr;
use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;

/// Most threads that can be asked for.
const MAX_THREADS: u64 = 256;

/// Most megabytes, and megapixels, that can be asked for.
const MAX_MEGA: u64 = 1 << 20;

/// What is taken for the size of the memory where it is unknown.
const FALLBACK_MEMORY: u64 = 16 << 30;

/// The memo's default, where it is less than an eighth of the memory.
const MEMO_BYTES: u64 = 512_000_000;

/// The settings of the process, which all its databases share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Threads that rows are spread over.
    pub threads: usize,
    /// What the encoder computes in.
    pub precision: Precision,
    /// Most bytes that are remembered.
    pub memo_bytes: u64,
}

/// The settings that every database has of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// Where models are found by name.
    pub model_folder: Option<PathBuf>,
    /// Whether files of models may be opened.
    pub external_access: bool,
    /// Most bytes that the results of one vector may take.
    pub mask_bytes: u64,
    /// What becomes of a row that fails.
    pub on_error: OnError,
    /// What pictures are decoded.
    pub images: Limits,
}

/// All settings, as one database sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Those that it shares.
    pub process: ProcessSettings,
    /// Those of its own.
    pub database: DatabaseSettings,
}

/// Whom a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All databases of the process.
    Process,
    /// One database. The name and type are those that it has for `SET`, where it has any.
    Database(Option<SetAs>),
}

/// What `SET` calls a setting, and takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAs {
    /// A whole number.
    Number(&'static CStr),
    /// A text.
    Text(&'static CStr),
}

impl Scope {
    /// What `SET` calls a setting of this scope.
    pub fn option(self) -> Option<&'static CStr> {
        match self {
            Self::Database(Some(SetAs::Number(name) | SetAs::Text(name))) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Process => "process",
            Self::Database(_) => "database",
        })
    }
}

/// What becomes of a row whose values are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The query stops.
    Fail,
    /// The row is NULL, and listed by `sam_errors()`.
    Null,
}

/// One setting: how it is called, read and shown. `sam_configure` and the environment read the same texts.
pub struct Setting {
    /// Its name in `sam_configure`.
    pub name: &'static CStr,
    /// Its environment variable.
    pub variable: &'static str,
    /// Whom it belongs to.
    pub scope: Scope,
    /// What it means, with its unit and default.
    pub meaning: &'static str,
    /// Reads a text; the name it was given under is for the message.
    pub set: fn(&mut Settings, name: &str, text: &str) -> Result<()>,
    /// The value as [`Setting::set`] reads it.
    pub show: fn(&Settings) -> String,
}

/// All settings, in the order they are listed.
pub static SETTINGS: [Setting; 11] = [
    Setting {
        name: c"threads",
        variable: "SAM_THREADS",
        scope: Scope::Process,
        meaning: "threads that pictures are spread over; any number gives the same masks (all cores)",
        set: |settings, name, text| {
            settings.process.threads = number(name, text, 1, MAX_THREADS)? as usize;
            Ok(())
        },
        show: |settings| settings.process.threads.to_string(),
    },
    Setting {
        // `precision` alone is a keyword of SQL.
        name: c"encoder_precision",
        variable: "SAM_PRECISION",
        scope: Scope::Process,
        meaning: "what image encoders compute in: auto, f32 or bf16; auto is bf16 where the processor has it \
            natively (auto)",
        set: |settings, name, text| {
            settings.process.precision =
                text.trim().parse().map_err(|reason| Failure::query(format!("{name}: {reason}")))?;
            Ok(())
        },
        show: |settings| settings.process.precision.to_string(),
    },
    Setting {
        name: c"memo_mb",
        variable: "SAM_MEMO_MB",
        scope: Scope::Process,
        meaning: "most megabytes of results that are remembered; 0 remembers nothing (512, but at most an eighth of \
            the memory)",
        set: |settings, name, text| {
            settings.process.memo_bytes = megabytes(name, text, 0)?;
            Ok(())
        },
        show: |settings| (settings.process.memo_bytes / 1_000_000).to_string(),
    },
    Setting {
        name: c"model_dir",
        variable: "SAM_MODEL_DIR",
        scope: Scope::Database(Some(SetAs::Text(c"sam_model_dir"))),
        meaning: "the folder where models are found by name (~/.duckdb/sam/models)",
        set: |settings, _, text| {
            settings.database.model_folder = Some(expand_home(text));
            Ok(())
        },
        show: |settings| {
            settings.database.model_folder.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
        },
    },
    Setting {
        name: c"external_access",
        variable: "SAM_EXTERNAL_ACCESS",
        scope: Scope::Database(None),
        meaning: "whether files of models may be opened; once false, it stays so (true)",
        set: |settings, name, text| {
            let wanted = text
                .trim()
                .parse()
                .map_err(|_| Failure::query(format!("{name} = '{text}' is unknown; it is 'true' or 'false'")))?;
            if wanted && !settings.database.external_access {
                return Err(Failure::query(format!("{name} is off in this database, and stays off")));
            }
            settings.database.external_access = wanted;
            Ok(())
        },
        show: |settings| settings.database.external_access.to_string(),
    },
    Setting {
        name: c"mask_limit_mb",
        variable: "SAM_MASK_LIMIT_MB",
        scope: Scope::Database(Some(SetAs::Number(c"sam_mask_limit_mb"))),
        meaning: "most megabytes that the results of one vector (2,048 rows) may take, and at most half of DuckDB's \
            memory_limit (a quarter of the memory)",
        set: |settings, name, text| {
            settings.database.mask_bytes = megabytes(name, text, 1)?;
            Ok(())
        },
        show: |settings| (settings.database.mask_bytes / 1_000_000).to_string(),
    },
    Setting {
        name: c"on_error",
        variable: "SAM_ON_ERROR",
        scope: Scope::Database(Some(SetAs::Text(c"sam_on_error"))),
        meaning: "what becomes of a row with a bad picture or prompt: 'fail' stops the query, 'null' makes the row \
            NULL and lists it in sam_errors() (fail)",
        set: |settings, name, text| {
            settings.database.on_error = match text.trim().to_ascii_lowercase().as_str() {
                "fail" => OnError::Fail,
                "null" => OnError::Null,
                _ => return Err(Failure::query(format!("{name} = '{text}' is unknown; it is 'fail' or 'null'"))),
            };
            Ok(())
        },
        show: |settings| match settings.database.on_error {
            OnError::Fail => "fail".into(),
            OnError::Null => "null".into(),
        },
    },
    Setting {
        name: c"image_megapixels",
        variable: "SAM_IMAGE_MEGAPIXELS",
        scope: Scope::Database(Some(SetAs::Number(c"sam_image_megapixels"))),
        meaning: "most millions of pixels of a picture; larger ones are refused before they are decoded (100)",
        set: |settings, name, text| {
            settings.database.images.max_pixels = number(name, text, 1, MAX_MEGA)? * 1_000_000;
            Ok(())
        },
        show: |settings| (settings.database.images.max_pixels / 1_000_000).to_string(),
    },
    Setting {
        name: c"image_side",
        variable: "SAM_IMAGE_SIDE",
        scope: Scope::Database(Some(SetAs::Number(c"sam_image_side"))),
        meaning: "most pixels of a picture's width and height (32768)",
        set: |settings, name, text| {
            settings.database.images.max_side = number(name, text, 1, 1 << 20)? as u32;
            Ok(())
        },
        show: |settings| settings.database.images.max_side.to_string(),
    },
    Setting {
        name: c"image_mb",
        variable: "SAM_IMAGE_MB",
        scope: Scope::Database(Some(SetAs::Number(c"sam_image_mb"))),
        meaning: "most megabytes of a compressed picture (268)",
        set: |settings, name, text| {
            settings.database.images.max_bytes = usize::try_from(megabytes(name, text, 1)?).unwrap_or(usize::MAX);
            Ok(())
        },
        show: |settings| (settings.database.images.max_bytes / 1_000_000).to_string(),
    },
    Setting {
        name: c"image_memory_mb",
        variable: "SAM_IMAGE_MEMORY_MB",
        scope: Scope::Database(Some(SetAs::Number(c"sam_image_memory_mb"))),
        meaning: "most megabytes that decoding a picture may take, or 100 times the length of its file where that is \
            more: what is refused is small and unpacks to very much (400)",
        set: |settings, name, text| {
            settings.database.images.max_work = megabytes(name, text, 1)?;
            Ok(())
        },
        show: |settings| (settings.database.images.max_work / 1_000_000).to_string(),
    },
];

impl DatabaseSettings {
    /// What a caller in this database can reach, whom the engine allows to open files or not.
    pub fn access(&self, allowed: bool) -> Access<'_> {
        let refused_by = match (allowed, self.external_access) {
            (false, _) => Some("enable_external_access"),
            (_, false) => Some("external_access of sam_configure"),
            _ => None,
        };
        Access { folder: self.model_folder.as_deref(), refused_by }
    }
}

impl Settings {
    /// Takes over what `SET` has given, by the index in [`SETTINGS`].
    ///
    /// # Errors
    /// A text is none of the setting's values.
    pub fn take(&mut self, given: &[(usize, String)]) -> Result<()> {
        given.iter().try_for_each(|(index, text)| {
            let setting = &SETTINGS[*index];
            let name = setting.scope.option().unwrap_or(setting.name);
            (setting.set)(self, &name.to_string_lossy(), text)
        })
    }

    /// Reads the environment.
    pub fn from_environment() -> Result<Self> {
        Self::from_lookup(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS as usize);
        let memory = memory().unwrap_or(FALLBACK_MEMORY);
        let process = ProcessSettings { threads, precision: Precision::Auto, memo_bytes: MEMO_BYTES.min(memory / 8) };
        let database = DatabaseSettings {
            model_folder: std::env::home_dir().map(|home| home.join(".duckdb").join("sam").join("models")),
            external_access: true,
            mask_bytes: memory / 4,
            on_error: OnError::Fail,
            images: Limits::default(),
        };
        let mut settings = Self { process, database };
        for Setting { variable, set, .. } in &SETTINGS {
            if let Some(text) = lookup(variable) {
                set(&mut settings, variable, &text)?;
            }
        }
        Ok(settings)
    }
}

fn number(name: &str, text: &str, least: u64, most: u64) -> Result<u64> {
    match text.trim().parse() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(Failure::query(format!("{name} = '{text}' is not a number between {least} and {most}"))),
    }
}

fn megabytes(name: &str, text: &str, least: u64) -> Result<u64> {
    Ok(number(name, text, least, MAX_MEGA)? * 1_000_000)
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
        assert!(settings.process.threads >= 1);
        assert!(settings.database.mask_bytes > 0);
        assert!(settings.process.memo_bytes <= MEMO_BYTES);
    }

    #[test]
    fn takes_what_the_environment_says() {
        assert_eq!(with("SAM_THREADS", " 3 ").unwrap().process.threads, 3);
        assert_eq!(with("SAM_PRECISION", "bf16").unwrap().process.precision, Precision::Bf16);
        assert_eq!(with("SAM_MODEL_DIR", "/models").unwrap().database.model_folder, Some("/models".into()));
        let home = std::env::home_dir().unwrap();
        assert_eq!(with("SAM_MODEL_DIR", "~/models").unwrap().database.model_folder, Some(home.join("models")));
        assert_eq!(with("SAM_MEMO_MB", "0").unwrap().process.memo_bytes, 0);
        assert_eq!(with("SAM_MASK_LIMIT_MB", "5").unwrap().database.mask_bytes, 5_000_000);
        assert_eq!(with("SAM_ON_ERROR", "null").unwrap().database.on_error, OnError::Null);
        assert_eq!(with("SAM_IMAGE_MEGAPIXELS", "2").unwrap().database.images.max_pixels, 2_000_000);
        assert_eq!(with("SAM_IMAGE_SIDE", "2000").unwrap().database.images.max_side, 2000);
        assert_eq!(with("SAM_IMAGE_MB", "3").unwrap().database.images.max_bytes, 3_000_000);
    }

    #[test]
    fn what_is_shown_can_be_set() {
        let settings = Settings::from_lookup(|_| None).unwrap();
        for setting in &SETTINGS {
            let (mut copy, text) = (settings.clone(), (setting.show)(&settings));
            (setting.set)(&mut copy, "name", &text).unwrap();
            assert_eq!((setting.show)(&copy), text);
        }
    }

    #[test]
    fn external_access_stays_off() {
        let mut settings = with("SAM_EXTERNAL_ACCESS", "false").unwrap();
        assert!(!settings.database.external_access);
        let setting = SETTINGS.iter().find(|setting| setting.name == c"external_access").unwrap();
        assert_eq!((setting.set)(&mut settings, "external_access", "false"), Ok(()));
        let message = (setting.set)(&mut settings, "external_access", "true").unwrap_err().to_string();
        assert_eq!(message, "external_access is off in this database, and stays off");
    }

    #[test]
    fn names_what_is_out_of_range() {
        for value in ["0", "257", "-1", "many"] {
            let message = with("SAM_THREADS", value).unwrap_err().to_string();
            assert_eq!(message, format!("SAM_THREADS = '{value}' is not a number between 1 and 256"));
        }
    }

    #[test]
    fn names_what_is_unknown() {
        let message = with("SAM_PRECISION", "f16").unwrap_err().to_string();
        assert_eq!(message, "SAM_PRECISION: precision 'f16' is unknown; it is one of auto, f32, bf16");
        let message = with("SAM_ON_ERROR", "stop").unwrap_err().to_string();
        assert_eq!(message, "SAM_ON_ERROR = 'stop' is unknown; it is 'fail' or 'null'");
    }

    #[test]
    fn reads_the_size_of_the_memory() {
        assert_eq!(total_memory("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(total_memory("nothing"), None);
    }
}
