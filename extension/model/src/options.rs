//! How a model is run: precision, device, instruction set.

use std::fmt;

use sam_kernels::Isa;

use crate::error::{ModelError, Result};
use crate::precision::Precision;

/// How to run a model. A [`Precision`] alone says the rest by default.
///
/// ```
/// use sam_model::{Model, Options, Precision};
///
/// let model = Model::nano(Options { precision: Precision::F32, ..Options::default() })?;
/// assert_eq!(model.precision(), Precision::F32);
/// # Ok::<(), sam_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// What the matrix products of the image encoder are computed in.
    pub precision: Precision,
    /// Where the network runs.
    pub device: Device,
    /// The instruction set of what runs on the CPU; `None` is the one that the environment variable `SAM_ISA` names, else the
    /// best that the processor has.
    pub isa: Option<Isa>,
    /// Run the plain definition of the network, in `f32`, instead of the form made for the device: slow, and what that form
    /// is compared with.
    pub reference: bool,
}

/// Where a network runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU of NVIDIA, by its number.
    Cuda(usize),
    /// A GPU of Apple, by its number.
    Metal(usize),
}

impl Device {
    /// The device in candle's words.
    ///
    /// # Errors
    /// This build has no such device.
    pub(crate) fn open(self) -> Result<candle_core::Device> {
        match self {
            Self::Cpu => Ok(candle_core::Device::Cpu),
            other => Err(ModelError::Device(format!("this build has no device '{other}'; it runs on 'cpu' only"))),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal(index) => write!(f, "metal:{index}"),
        }
    }
}

impl Options {
    /// The plain definition of the network on the CPU.
    pub const REFERENCE: Self = Self { precision: Precision::F32, device: Device::Cpu, isa: None, reference: true };
}

impl From<Precision> for Options {
    fn from(precision: Precision) -> Self {
        Self { precision, ..Self::default() }
    }
}
