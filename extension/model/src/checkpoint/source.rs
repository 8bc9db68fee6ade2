//! Where a checkpoint's bytes are: files that are read in place, or a part of the program.
//!
//! Files are read, not mapped: a file that is cut while it is mapped would take the process down. What is read belongs
//! to one version of the file, or ends in an error: its length and time of modification are looked at once more when
//! all is read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{ModelError, Result};

/// A file, open for reading.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    bytes: Bytes,
    stamp: Stamp,
}

#[derive(Debug)]
enum Bytes {
    File(File),
    Static(&'static [u8]),
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { length: metadata.len(), modified: metadata.modified().ok() })
    }
}

impl Source {
    /// Opens a file that is to be read piece by piece.
    ///
    /// # Errors
    /// [`ModelError::Read`] if it cannot be opened, [`ModelError::Format`] if it is empty.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| ModelError::Read { path: path.to_owned(), reason: error.to_string() };
        let refused = |reason: &str| ModelError::Read { path: path.to_owned(), reason: reason.into() };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(refused(if metadata.is_dir() { "it is a directory" } else { "it is no regular file" }));
        }
        let stamp = Stamp::of(&file).map_err(failed)?;
        let source = Self { path: path.to_owned(), bytes: Bytes::File(file), stamp };
        if stamp.length == 0 { Err(source.format_error("the file is empty")) } else { Ok(source) }
    }

    /// Bytes that are part of the program; `name` stands for their path in messages.
    pub(crate) fn from_static(name: &str, bytes: &'static [u8]) -> Self {
        let stamp = Stamp { length: bytes.len() as u64, modified: None };
        Self { path: name.into(), bytes: Bytes::Static(bytes), stamp }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.stamp.length
    }

    /// The whole file, where it is part of the program.
    pub(crate) fn static_bytes(&self) -> Option<&'static [u8]> {
        match self.bytes {
            Bytes::Static(bytes) => Some(bytes),
            Bytes::File(_) => None,
        }
    }

    /// Fills `out` with the bytes from `offset` on.
    ///
    /// # Errors
    /// The file ends before, or cannot be read.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        match &self.bytes {
            Bytes::File(file) => {
                let mut file = file;
                let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(out));
                read.map_err(|error| self.read_error(&error))
            }
            Bytes::Static(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = bytes.get(start..).and_then(|rest| rest.get(..out.len()));
                out.copy_from_slice(part.ok_or_else(|| self.format_error("it is truncated"))?);
                Ok(())
            }
        }
    }

    /// The `count` bytes from `offset` on.
    ///
    /// # Errors
    /// As [`Source::read_at`]; no memory.
    pub(crate) fn bytes_at(&self, offset: u64, count: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(count).map_err(|_| no_memory(&self.path, count))?;
        bytes.resize(count, 0);
        self.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The first bytes, at most `count`.
    pub(crate) fn head(&self, count: usize) -> Result<Vec<u8>> {
        self.bytes_at(0, usize::try_from(self.len()).unwrap_or(usize::MAX).min(count))
    }

    /// Fails if the file is not what it was when it was opened: then what was read may be of two versions.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let Bytes::File(file) = &self.bytes else { return Ok(()) };
        let now = Stamp::of(file).map_err(|error| self.read_error(&error))?;
        if now == self.stamp { Ok(()) } else { Err(self.changed(now.length)) }
    }

    /// The file as it was when it was read, opened again by its path.
    ///
    /// # Errors
    /// It is gone, or another one.
    pub(crate) fn open_again(path: &Path, length: u64, modified: Option<SystemTime>) -> Result<File> {
        let failed = |error: std::io::Error| ModelError::Read { path: path.to_owned(), reason: error.to_string() };
        let file = File::open(path).map_err(failed)?;
        if Stamp::of(&file).map_err(failed)? == (Stamp { length, modified }) {
            return Ok(file);
        }
        let reason = "it has changed since the model was loaded; unload the model to use the new file";
        Err(ModelError::Read { path: path.to_owned(), reason: reason.into() })
    }

    /// Time of modification when the file was opened.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.stamp.modified
    }

    pub(crate) fn format_error(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Format { path: self.path.clone(), reason: reason.into() }
    }

    fn changed(&self, now: u64) -> ModelError {
        let then = self.stamp.length;
        let reason = format!(
            "it was written to while it was read ({then} bytes before, {now} now); try again when it is complete"
        );
        ModelError::Read { path: self.path.clone(), reason }
    }

    fn read_error(&self, error: &std::io::Error) -> ModelError {
        if let Bytes::File(file) = &self.bytes
            && let Ok(now) = Stamp::of(file)
            && now != self.stamp
        {
            return self.changed(now.length);
        }
        ModelError::Read { path: self.path.clone(), reason: error.to_string() }
    }
}

/// A source as a stream, with a position of its own.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    source: Arc<Source>,
    at: u64,
}

impl Stream {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self { source, at: 0 }
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let left = self.source.len().saturating_sub(self.at);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        self.source.read_at(self.at, &mut out[..count]).map_err(std::io::Error::other)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.source.len().checked_add_signed(by),
        };
        self.at = place.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

/// What is said where `bytes` cannot be had.
pub(crate) fn no_memory(path: &Path, bytes: usize) -> ModelError {
    let reason = format!(
        "there is no memory for {bytes} bytes of it; unload other models, take a smaller model, \
         or raise the limit of the process's memory"
    );
    ModelError::Read { path: path.to_owned(), reason }
}
