//! What a file says of its network in its `config` metadata, or what is stated beside it.

use serde::{Deserialize, Serialize};

use crate::decoder::DecoderConfig;
use crate::family::EncoderConfig;
use crate::guide::{Guided, Upsampling};
use crate::sizes::{Checked, require};
use crate::thresholds::Thresholds;

/// Everything needed to build a network.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(crate) struct Config {
    pub(crate) image_encoder: EncoderConfig,
    pub(crate) mask_decoder: DecoderConfig,
    /// Mean of each colour channel, 0..255.
    #[serde(default = "pixel_mean")]
    pub(crate) pixel_mean: [f32; 3],
    /// Standard deviation of each colour channel.
    #[serde(default = "pixel_std")]
    pub(crate) pixel_std: [f32; 3],
    /// What the mask generator takes as good enough.
    #[serde(default)]
    pub(crate) mask_generator: Thresholds,
    /// How masks are brought to the picture's size; `None` is bilinear, as in SAM.
    pub(crate) upsampling: Option<Upsampling>,
    /// SPDX identifier of the weights' licence.
    pub(crate) license: Option<String>,
    /// What was taken for granted, in words.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
}

/// Most rows of an image embedding: four times those of SAM.
const MAX_GRID: usize = 256;

/// The mean of SAM's colours.
fn pixel_mean() -> [f32; 3] {
    [123.675, 116.28, 103.53]
}

/// The standard deviation of SAM's colours.
fn pixel_std() -> [f32; 3] {
    [58.395, 57.12, 57.375]
}

impl Config {
    /// A network of which the sizes are known; all else is as in SAM.
    pub(crate) fn new(image_encoder: EncoderConfig, mask_decoder: DecoderConfig) -> Self {
        Self {
            image_encoder,
            mask_decoder,
            pixel_mean: pixel_mean(),
            pixel_std: pixel_std(),
            mask_generator: Thresholds::default(),
            upsampling: None,
            license: None,
            notes: Vec::new(),
        }
    }

    /// Relations between sizes that the network relies on (divisibility, equal widths, plausible magnitudes).
    ///
    /// # Errors
    /// The first that does not hold.
    pub(crate) fn validate(&self) -> Checked {
        let img_size = self.image_encoder.img_size();
        require((16..=8192).contains(&img_size), "the input side must lie between 16 and 8192 pixels")?;
        let is_number = |value: &f32| value.is_finite();
        require(self.pixel_mean.iter().all(is_number), "the mean of the colours must be finite")?;
        let is_scale = |value: &f32| value.is_finite() && *value > 0.0;
        require(self.pixel_std.iter().all(is_scale), "the standard deviation of the colours must be above 0")?;
        self.image_encoder.validate()?;
        // Masks have four times the embedding's side, and are enlarged to the input.
        let grid = self.image_encoder.grid();
        require((1..=MAX_GRID).contains(&grid), "the image embedding must have between 1 and 256 rows")?;
        let wide = format!("masks would be {} pixels wide, more than the input's {img_size}", 4 * grid);
        require(4 * grid <= img_size, wide)?;
        let decoder = &self.mask_decoder;
        let is_same = self.image_encoder.channels() == decoder.transformer_dim;
        require(is_same, "encoder and decoder widths differ")?;
        decoder.validate()?;
        let Thresholds { pred_iou_thresh, stability_score_thresh, box_nms_thresh } = self.mask_generator;
        require(
            [pred_iou_thresh, stability_score_thresh, box_nms_thresh].iter().all(|least| (0.0..=1.0).contains(least)),
            "thresholds of the mask generator lie between 0 and 1",
        )?;
        if let Some(Upsampling::Guided(Guided { radius, eps, clip })) = self.upsampling {
            require((1..=16).contains(&radius), "the radius of guided upsampling lies between 1 and 16")?;
            require(
                [eps, clip].iter().all(|value| (1e-6..=1e6).contains(value)),
                "eps and clip of guided upsampling lie between 1e-6 and 1e6",
            )?;
            require(
                img_size.is_multiple_of(2) && 4 * grid <= img_size / 2,
                "guided upsampling needs an even input side, at least twice that of the masks",
            )?;
        }
        Ok(())
    }
}
