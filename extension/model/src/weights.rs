//! A view of a checkpoint below a name prefix, which remembers what was taken from it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use candle_core::{Device, Tensor};

use crate::checkpoint::Checkpoint;
use crate::error::Result;

/// Tensors of a checkpoint below a prefix, on a device.
#[derive(Clone)]
pub(crate) struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    device: &'a Device,
    prefix: String,
    taken: &'a RefCell<BTreeSet<String>>,
}

impl<'a> Weights<'a> {
    /// All tensors; the names of those that are loaded are added to `taken`.
    pub(crate) fn new(checkpoint: &'a Checkpoint, device: &'a Device, taken: &'a RefCell<BTreeSet<String>>) -> Self {
        Self { checkpoint, device, prefix: String::new(), taken }
    }

    /// The tensors below `name`.
    pub(crate) fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { prefix: format!("{}{name}.", self.prefix), ..self.clone() }
    }

    /// The device that tensors are put on.
    pub(crate) fn device(&self) -> &'a Device {
        self.device
    }

    /// The tensor `name` as `f32`; it must have `shape` and finite values.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let values = self.values(name, shape)?;
        Ok(Tensor::from_vec(values, shape, self.device)?)
    }

    /// The values of the tensor `name`, row-major.
    pub(crate) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let name = format!("{}{name}", self.prefix);
        if shape.contains(&0) && self.checkpoint.shape(&name) == Some(shape) {
            return Err(self.checkpoint.architecture_error(format!("tensor '{name}' has shape {shape:?}: no values")));
        }
        let values = self.checkpoint.load(&name, shape)?;
        self.taken.borrow_mut().insert(name);
        Ok(values)
    }

    /// A convolution `c` without bias, of the shape given, followed by a batch norm `bn` (eps 1e-5), as the one
    /// convolution with bias that equals both: batch norm is linear at inference.
    pub(crate) fn folded_convolution(&self, shape: [usize; 4]) -> Result<(Tensor, Tensor)> {
        let outputs = shape[0];
        let weight = self.at("c").tensor("weight", &shape)?;
        let norm = self.at("bn");
        let variance = norm.tensor("running_var", &[outputs])?;
        let scale = (norm.tensor("weight", &[outputs])? / (variance + 1e-5)?.sqrt()?)?;
        let bias = (norm.tensor("bias", &[outputs])? - (norm.tensor("running_mean", &[outputs])? * &scale)?)?;
        let weight = weight.broadcast_mul(&scale.reshape((outputs, 1, 1, 1))?)?;
        let is_finite = |tensor: &Tensor| -> Result<bool> {
            Ok(tensor.flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_finite()))
        };
        if !is_finite(&weight)? || !is_finite(&bias)? {
            return Err(self.checkpoint.architecture_error(format!(
                "the convolution '{}c' and its batch norm give numbers beyond the range of float32: its weights are too large, \
                 or a variance is negative",
                self.prefix
            )));
        }
        Ok((weight, bias))
    }

    /// Side `axis` of the tensor `name`, if there is such a tensor with so many sides.
    pub(crate) fn side(&self, name: &str, axis: usize) -> Option<usize> {
        self.checkpoint.shape(&format!("{}{name}", self.prefix))?.get(axis).copied()
    }
}

/// Takes the weights for mask prompts, which are part of every checkpoint but not offered: they are checked like all
/// others. `weights` are those below `mask_downscaling`.
pub(crate) fn take_mask_downscaling(weights: &Weights, width: usize) -> Result<()> {
    let hidden = weights.side("3.weight", 0).unwrap_or(16);
    for (name, shape) in [
        ("0.weight", vec![hidden / 4, 1, 2, 2]),
        ("0.bias", vec![hidden / 4]),
        ("1.weight", vec![hidden / 4]),
        ("1.bias", vec![hidden / 4]),
        ("3.weight", vec![hidden, hidden / 4, 2, 2]),
        ("3.bias", vec![hidden]),
        ("4.weight", vec![hidden]),
        ("4.bias", vec![hidden]),
        ("6.weight", vec![width, hidden, 1, 1]),
        ("6.bias", vec![width]),
    ] {
        weights.tensor(name, &shape)?;
    }
    Ok(())
}
