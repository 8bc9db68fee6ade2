//! The element types that every kernel takes. Each kernel has a sealed trait of its own in its own file (as
//! [`GemmElem`]), implemented for f32 and bf16: what is compiled for an element type is compiled once, in this crate,
//! and not by every user of a generic function.

use crate::attention::{AttendElem, WindowElem};
use crate::depthwise::DepthwiseElem;
use crate::gemm::GemmElem;
use crate::norm::NormElem;

/// f32 or [`Bf16`](crate::Bf16), as an operand of all kernels; see [`Scalar`](crate::Scalar) for what it can do.
pub trait Elem: GemmElem + NormElem + WindowElem + AttendElem + DepthwiseElem {}

impl<E: GemmElem + NormElem + WindowElem + AttendElem + DepthwiseElem> Elem for E {}
