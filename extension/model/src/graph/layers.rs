//! Layers shared by the encoders and the decoder.

use candle_core::{D, Tensor};

use crate::error::Result;
use crate::weights::Weights;

/// `y = x W^T + b` over the last dimension.
pub(crate) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub(crate) fn new(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            weight: weights.tensor("weight", &[outputs, inputs])?.t()?,
            bias: weights.tensor("bias", &[outputs])?,
        })
    }

    /// (..., inputs) -> (..., outputs)
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        let inputs = shape.pop().unwrap_or(0);
        let rows = x.reshape(((), inputs))?.matmul(&self.weight)?.broadcast_add(&self.bias)?;
        shape.push(self.bias.elem_count());
        Ok(rows.reshape(shape)?)
    }
}

/// Layer norm over the last dimension. The variance is computed in two passes: candle's own, of squares minus squared
/// mean, cancels where the mean is large.
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    pub(crate) fn new(weights: &Weights, width: usize, eps: f64) -> Result<Self> {
        Ok(Self { weight: weights.tensor("weight", &[width])?, bias: weights.tensor("bias", &[width])?, eps })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
        Ok(centred.broadcast_div(&deviation)?.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?)
    }

    /// The same over the channels of an NCHW tensor (Meta's `LayerNorm2d`).
    pub(crate) fn forward_nchw(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.forward(&x.permute((0, 2, 3, 1))?.contiguous()?)?.permute((0, 3, 1, 2))?.contiguous()?)
    }
}

/// A convolution over NCHW with "same" padding (half the kernel), dense or depthwise, with or without bias.
pub(crate) struct Conv {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: usize,
    depthwise: bool,
}

impl Conv {
    /// A dense convolution without bias.
    pub(crate) fn dense(weights: &Weights, inputs: usize, outputs: usize, kernel: usize) -> Result<Self> {
        let weight = weights.tensor("weight", &[outputs, inputs, kernel, kernel])?;
        Ok(Self { weight, bias: None, stride: 1, depthwise: false })
    }

    /// A convolution followed by a batch norm, folded into one.
    pub(crate) fn with_norm(
        weights: &Weights,
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        depthwise: bool,
    ) -> Result<Self> {
        let per_output = if depthwise { 1 } else { inputs };
        let (weight, bias) = weights.folded_convolution([outputs, per_output, kernel, kernel])?;
        Ok(Self { weight, bias: Some(bias), stride, depthwise })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let padding = self.weight.dim(2)? / 2;
        let y = if self.depthwise {
            self.forward_depthwise(x, padding)?
        } else {
            x.conv2d(&self.weight, padding, self.stride, 1, 1)?
        };
        match &self.bias {
            Some(bias) => Ok(y.broadcast_add(&bias.reshape((1, bias.elem_count(), 1, 1))?)?),
            None => Ok(y),
        }
    }

    /// One shifted multiplication and addition for each kernel position; candle's grouped convolution runs one
    /// convolution per channel instead.
    fn forward_depthwise(&self, x: &Tensor, padding: usize) -> Result<Tensor> {
        let (_, channels, height, width) = x.dims4()?;
        let kernel = self.weight.dim(2)?;
        let stride = self.stride;
        let (out_height, out_width) = ((height - 1) / stride + 1, (width - 1) / stride + 1);
        // Room for the last shift of a strided view: `stride` more than the kernel reaches.
        let padded = x.pad_with_zeros(2, padding, padding + stride)?.pad_with_zeros(3, padding, padding + stride)?;
        let mut sum: Option<Tensor> = None;
        for ky in 0..kernel {
            for kx in 0..kernel {
                let mut shifted = padded.narrow(2, ky, out_height * stride)?.narrow(3, kx, out_width * stride)?;
                if stride > 1 {
                    let cells = (1, channels, out_height, stride, out_width * stride);
                    shifted = shifted.reshape(cells)?.narrow(3, 0, 1)?.squeeze(3)?;
                    shifted =
                        shifted.reshape((1, channels, out_height, out_width, stride))?.narrow(4, 0, 1)?.squeeze(4)?;
                }
                let tap = self.weight.narrow(2, ky, 1)?.narrow(3, kx, 1)?.reshape((1, channels, 1, 1))?;
                let term = shifted.broadcast_mul(&tap)?;
                sum = Some(match sum {
                    Some(sum) => (sum + term)?,
                    None => term,
                });
            }
        }
        sum.ok_or_else(|| candle_core::Error::Msg("empty kernel".into()).into())
    }
}

/// GELU by the error function, as PyTorch's default (candle's `gelu` is the tanh approximation).
pub(crate) fn gelu(x: &Tensor) -> Result<Tensor> {
    Ok(x.gelu_erf()?)
}

/// Softmax over the last dimension.
pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    let e = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    Ok(e.broadcast_div(&e.sum_keepdim(D::Minus1)?)?)
}

/// Splits a map of tokens (1, height, width, channels), padded with zeros at the right and bottom, into square windows
/// (windows, side * side, channels).
pub(crate) fn partition_windows(x: &Tensor, side: usize) -> Result<Tensor> {
    let (_, height, width, channels) = x.dims4()?;
    let (rows, columns) = (height.div_ceil(side), width.div_ceil(side));
    let padded = x.pad_with_zeros(1, 0, rows * side - height)?.pad_with_zeros(2, 0, columns * side - width)?;
    let windows = padded.reshape((rows, side, columns, side, channels))?.transpose(1, 2)?.contiguous()?;
    Ok(windows.reshape((rows * columns, side * side, channels))?)
}

/// The inverse of [`partition_windows`]; padding is dropped.
pub(crate) fn merge_windows(x: &Tensor, side: usize, height: usize, width: usize) -> Result<Tensor> {
    let channels = x.dim(2)?;
    let (rows, columns) = (height.div_ceil(side), width.div_ceil(side));
    let map = x.reshape((rows, columns, side, side, channels))?.transpose(1, 2)?.contiguous()?;
    let map = map.reshape((1, rows * side, columns * side, channels))?;
    Ok(map.narrow(1, 0, height)?.narrow(2, 0, width)?.contiguous()?)
}

/// The encoders' last step (Meta's `neck`): 1x1 and 3x3 convolutions, each followed by a layer norm over channels.
pub(crate) struct Neck {
    conv1: Conv,
    norm1: LayerNorm,
    conv2: Conv,
    norm2: LayerNorm,
}

impl Neck {
    pub(crate) fn new(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            conv1: Conv::dense(&weights.at("0"), inputs, outputs, 1)?,
            norm1: LayerNorm::new(&weights.at("1"), outputs, 1e-6)?,
            conv2: Conv::dense(&weights.at("2"), outputs, outputs, 3)?,
            norm2: LayerNorm::new(&weights.at("3"), outputs, 1e-6)?,
        })
    }

    /// (1, inputs, height, width) -> (1, outputs, height, width)
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.norm1.forward_nchw(&self.conv1.forward(x)?)?;
        self.norm2.forward_nchw(&self.conv2.forward(&x)?)
    }
}
