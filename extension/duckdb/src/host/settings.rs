//! Settings: those of the process and those that every database has of its own. They begin as what the environment says
//! when the process first loads the extension, and are changed by `sam_configure`. From DuckDB 1.5.6 on, a database's
//! can also be given by `SET` for one connection, or by `SET GLOBAL` for the database. `SET` then has precedence.

use sam_runtime::{
    ClientSettings, Failure, LimitSource, MAX_THREADS, OnError, Result, ResultLimit, Settings, expand_home,
};
use std::ffi::CStr;
use std::fmt;

/// Most megabytes, and megapixels, that can be asked for.
const MAX_MEGA: u64 = 1 << 20;

/// What refuses files of models where a database has switched them off.
const EXTERNAL_ACCESS: &str = "external_access of sam_configure";

/// Whom a setting belongs to, and how it is read and shown there.
pub enum Scope {
    /// All databases of the process.
    Process(Access<Settings>),
    /// One database. The name and type are those that it has for `SET`, where it has any.
    Database(Option<SetAs>, Access<ClientSettings>),
}

/// How a value among the settings `T` is read and shown.
pub struct Access<T> {
    /// Reads a text; the name it was given under is for the message.
    set: fn(&mut T, name: &str, text: &str) -> Result<()>,
    /// The value as `set` reads it.
    show: fn(&T) -> String,
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
    pub fn option(&self) -> Option<&'static CStr> {
        match self {
            Self::Database(Some(SetAs::Number(name) | SetAs::Text(name)), _) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Process(_) => "process",
            Self::Database(..) => "database",
        })
    }
}

/// One setting: how it is called, read and shown. `sam_configure` and the environment read the same texts.
pub struct Setting {
    /// Its name in `sam_configure`.
    pub name: &'static CStr,
    /// Its environment variable.
    pub variable: &'static str,
    /// What it means, with its unit and default.
    pub meaning: &'static str,
    /// Whom it belongs to.
    pub scope: Scope,
}

impl Setting {
    /// Reads a text, which was given under `name`.
    ///
    /// # Errors
    /// The text is none of the setting's values.
    pub fn set(&self, process: &mut Settings, database: &mut ClientSettings, name: &str, text: &str) -> Result<()> {
        match &self.scope {
            Scope::Process(access) => (access.set)(process, name, text),
            Scope::Database(_, access) => (access.set)(database, name, text),
        }
    }

    /// The value, as [`Setting::set`] reads it.
    pub fn show(&self, process: &Settings, database: &ClientSettings) -> String {
        match &self.scope {
            Scope::Process(access) => (access.show)(process),
            Scope::Database(_, access) => (access.show)(database),
        }
    }

    /// What a value means on this machine, if that is not said by itself.
    pub fn note(&self, process: &Settings) -> Option<String> {
        let resolved = || process.precision.resolved().map_or_else(|error| error.to_string(), |(_, why)| why);
        (self.name == ENCODER_PRECISION).then(resolved)
    }
}

/// `precision` alone is a keyword of SQL.
const ENCODER_PRECISION: &CStr = c"encoder_precision";

/// All settings, in the order they are listed.
pub static SETTINGS: [Setting; 11] = [
    Setting {
        name: c"threads",
        variable: "SAM_THREADS",
        meaning: "threads that images are spread over; any number gives the same masks (all cores)",
        scope: Scope::Process(Access {
            set: |settings, name, text| {
                settings.threads = number(name, text, 1, MAX_THREADS as u64)? as usize;
                Ok(())
            },
            show: |settings| settings.threads.to_string(),
        }),
    },
    Setting {
        name: ENCODER_PRECISION,
        variable: "SAM_PRECISION",
        meaning: "number format of the image encoder: auto, f32 or bf16; auto is what this processor computes faster \
            (auto)",
        scope: Scope::Process(Access {
            set: |settings, name, text| {
                settings.precision =
                    text.trim().parse().map_err(|reason| Failure::usage(format!("{name}: {reason}")))?;
                Ok(())
            },
            show: |settings| settings.precision.to_string(),
        }),
    },
    Setting {
        name: c"cache_mb",
        variable: "SAM_CACHE_MB",
        meaning: "limit on the cached results, in megabytes; 0 caches nothing (512, but at most an eighth of the \
            memory)",
        scope: Scope::Process(Access {
            set: |settings, name, text| {
                settings.cache_bytes = megabytes(name, text, 0)?;
                Ok(())
            },
            show: |settings| (settings.cache_bytes / 1_000_000).to_string(),
        }),
    },
    Setting {
        name: c"model_dir",
        variable: "SAM_MODEL_DIR",
        meaning: "the folder where models are found by name (~/.duckdb/sam/models)",
        scope: Scope::Database(
            Some(SetAs::Text(c"sam_model_dir")),
            Access {
                set: |settings, _, text| {
                    settings.model_folder = Some(expand_home(text));
                    Ok(())
                },
                show: |settings| {
                    settings.model_folder.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
                },
            },
        ),
    },
    Setting {
        name: c"external_access",
        variable: "SAM_EXTERNAL_ACCESS",
        meaning: "whether files of models may be opened; once false, it stays false (true)",
        scope: Scope::Database(
            None,
            Access {
                set: |settings, name, text| {
                    let wanted: bool = text.trim().parse().map_err(|_| {
                        Failure::usage(format!("{name} = '{text}' is unknown; it is 'true' or 'false'"))
                    })?;
                    match (wanted, settings.files_refused_by) {
                        (true, Some(_)) => {
                            Err(Failure::usage(format!("{name} is off in this database, and stays off")))
                        }
                        (true, None) => Ok(()),
                        (false, _) => {
                            settings.files_refused_by = Some(EXTERNAL_ACCESS);
                            Ok(())
                        }
                    }
                },
                show: |settings| settings.files_refused_by.is_none().to_string(),
            },
        ),
    },
    Setting {
        name: c"mask_limit_mb",
        variable: "SAM_MASK_LIMIT_MB",
        meaning: "limit on the results of one vector (2,048 rows), in megabytes; at most half of DuckDB's memory_limit \
            (a quarter of the memory)",
        scope: Scope::Database(
            Some(SetAs::Number(c"sam_mask_limit_mb")),
            Access {
                set: |settings, name, text| {
                    settings.results = ResultLimit { bytes: megabytes(name, text, 1)?, set_by: LimitSource::Settings };
                    Ok(())
                },
                show: |settings| (settings.results.bytes / 1_000_000).to_string(),
            },
        ),
    },
    Setting {
        name: c"on_error",
        variable: "SAM_ON_ERROR",
        meaning: "what happens to a row with a bad image or prompt: 'fail' stops the query, 'null' makes the row NULL \
            and lists it in sam_errors() (fail)",
        scope: Scope::Database(
            Some(SetAs::Text(c"sam_on_error")),
            Access {
                set: |settings, name, text| {
                    settings.on_error = match text.trim().to_ascii_lowercase().as_str() {
                        "fail" => OnError::Fail,
                        "null" => OnError::Skip,
                        _ => {
                            return Err(Failure::usage(format!(
                                "{name} = '{text}' is unknown; it is 'fail' or 'null'"
                            )));
                        }
                    };
                    Ok(())
                },
                show: |settings| match settings.on_error {
                    OnError::Fail => "fail".into(),
                    OnError::Skip => "null".into(),
                },
            },
        ),
    },
    Setting {
        name: c"image_megapixels",
        variable: "SAM_IMAGE_MEGAPIXELS",
        meaning: "limit on the pixels of an image, in millions; larger images are refused before they are decoded \
            (100)",
        scope: Scope::Database(
            Some(SetAs::Number(c"sam_image_megapixels")),
            Access {
                set: |settings, name, text| {
                    settings.images.max_pixels = number(name, text, 1, MAX_MEGA)? * 1_000_000;
                    Ok(())
                },
                show: |settings| (settings.images.max_pixels / 1_000_000).to_string(),
            },
        ),
    },
    Setting {
        name: c"image_side",
        variable: "SAM_IMAGE_SIDE",
        meaning: "limit on the width and the height of an image, in pixels (32768)",
        scope: Scope::Database(
            Some(SetAs::Number(c"sam_image_side")),
            Access {
                set: |settings, name, text| {
                    settings.images.max_side = number(name, text, 1, 1 << 20)? as u32;
                    Ok(())
                },
                show: |settings| settings.images.max_side.to_string(),
            },
        ),
    },
    Setting {
        name: c"image_mb",
        variable: "SAM_IMAGE_MB",
        meaning: "limit on the size of a compressed image, in megabytes (268)",
        scope: Scope::Database(
            Some(SetAs::Number(c"sam_image_mb")),
            Access {
                set: |settings, name, text| {
                    settings.images.max_bytes = usize::try_from(megabytes(name, text, 1)?).unwrap_or(usize::MAX);
                    Ok(())
                },
                show: |settings| (settings.images.max_bytes / 1_000_000).to_string(),
            },
        ),
    },
    Setting {
        name: c"image_memory_mb",
        variable: "SAM_IMAGE_MEMORY_MB",
        meaning: "limit on the memory to decode an image, in megabytes, or 100 times the length of its file if more; \
            small files that unpack to very much are refused (400)",
        scope: Scope::Database(
            Some(SetAs::Number(c"sam_image_memory_mb")),
            Access {
                set: |settings, name, text| {
                    settings.images.max_work = megabytes(name, text, 1)?;
                    Ok(())
                },
                show: |settings| (settings.images.max_work / 1_000_000).to_string(),
            },
        ),
    },
];

/// Takes over what `SET` has given: values by the index of their setting in [`SETTINGS`].
///
/// # Errors
/// A text is none of the setting's values.
pub fn take(settings: &mut ClientSettings, given: &[(usize, String)]) -> Result<()> {
    given.iter().try_for_each(|(index, text)| {
        let setting = &SETTINGS[*index];
        let name = setting.scope.option().unwrap_or(setting.name).to_string_lossy();
        match &setting.scope {
            Scope::Database(_, access) => (access.set)(settings, &name, text),
            Scope::Process(_) => Err(Failure::internal(format!("{name} is no setting of a database"))),
        }
    })
}

/// What the environment says.
///
/// # Errors
/// A variable has a value that its setting cannot have.
pub fn from_environment() -> Result<(Settings, ClientSettings)> {
    from_lookup(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<(Settings, ClientSettings)> {
    let model_folder = std::env::home_dir().map(|home| home.join(".duckdb").join("sam").join("models"));
    let (mut process, mut database) =
        (Settings::default(), ClientSettings { model_folder, ..ClientSettings::default() });
    for setting in &SETTINGS {
        if let Some(text) = lookup(setting.variable) {
            setting.set(&mut process, &mut database, setting.variable, &text)?;
        }
    }
    Ok((process, database))
}

fn number(name: &str, text: &str, least: u64, most: u64) -> Result<u64> {
    match text.trim().parse() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(Failure::usage(format!("{name} = '{text}' is not a number between {least} and {most}"))),
    }
}

fn megabytes(name: &str, text: &str, least: u64) -> Result<u64> {
    Ok(number(name, text, least, MAX_MEGA)? * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_model::Precision;

    fn with(name: &'static str, value: &'static str) -> Result<(Settings, ClientSettings)> {
        from_lookup(|asked| (asked == name).then(|| value.to_string()))
    }

    #[test]
    fn takes_what_the_environment_says() {
        let process = |name, value| with(name, value).unwrap().0;
        let database = |name, value| with(name, value).unwrap().1;
        assert_eq!(process("SAM_THREADS", " 3 ").threads, 3);
        assert_eq!(process("SAM_PRECISION", "bf16").precision, Precision::Bf16);
        assert_eq!(process("SAM_CACHE_MB", "0").cache_bytes, 0);
        assert_eq!(database("SAM_MODEL_DIR", "/models").model_folder, Some("/models".into()));
        let home = std::env::home_dir().unwrap();
        assert_eq!(database("SAM_MODEL_DIR", "~/models").model_folder, Some(home.join("models")));
        assert_eq!(database("SAM_MASK_LIMIT_MB", "5").results.bytes, 5_000_000);
        assert_eq!(database("SAM_ON_ERROR", "null").on_error, OnError::Skip);
        assert_eq!(database("SAM_IMAGE_MEGAPIXELS", "2").images.max_pixels, 2_000_000);
        assert_eq!(database("SAM_IMAGE_SIDE", "2000").images.max_side, 2000);
        assert_eq!(database("SAM_IMAGE_MB", "3").images.max_bytes, 3_000_000);
    }

    #[test]
    fn what_is_shown_can_be_set() {
        let (process, database) = from_lookup(|_| None).unwrap();
        for setting in &SETTINGS {
            let (mut copies, text) = ((process.clone(), database.clone()), setting.show(&process, &database));
            setting.set(&mut copies.0, &mut copies.1, "name", &text).unwrap();
            assert_eq!(setting.show(&copies.0, &copies.1), text);
        }
    }

    #[test]
    fn what_set_gives_is_a_databases() {
        let index = |name: &CStr| SETTINGS.iter().position(|setting| setting.name == name).unwrap();
        let mut settings = ClientSettings::default();
        take(&mut settings, &[(index(c"on_error"), "null".into()), (index(c"image_side"), "9".into())]).unwrap();
        assert_eq!((settings.on_error, settings.images.max_side), (OnError::Skip, 9));
        let message = take(&mut settings, &[(index(c"on_error"), "never".into())]).unwrap_err().to_string();
        assert_eq!(message, "sam_on_error = 'never' is unknown; it is 'fail' or 'null'");
        let of_process = |setting: &&Setting| matches!(setting.scope, Scope::Process(_));
        assert!(SETTINGS.iter().filter(of_process).all(|setting| setting.scope.option().is_none()));
    }

    #[test]
    fn external_access_stays_off() {
        let (mut process, mut database) = with("SAM_EXTERNAL_ACCESS", "false").unwrap();
        assert!(database.files_refused_by.is_some());
        let setting = SETTINGS.iter().find(|setting| setting.name == c"external_access").unwrap();
        let mut set = |text| setting.set(&mut process, &mut database, "external_access", text);
        assert_eq!(set("false"), Ok(()));
        assert_eq!(set("true").unwrap_err().to_string(), "external_access is off in this database, and stays off");
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
}
