//! Everything in a picture: SAM's automatic mask generator (Kirillov et al. 2023, `SamAutomaticMaskGenerator`).
//!
//! Every point of a grid is a prompt, every candidate mask a proposal. Proposals go where the network does not trust
//! them, where they change much with the threshold, where a crop cuts them off, and where a better one has nearly the
//! same box. The order is the reference's: by predicted IoU, or, with crops, smaller crops first.
//!
//! Proposals that the network does not trust go before their masks are computed: predicted IoUs are known earlier.

mod crops;
mod nms;

use rayon::prelude::*;
use sam_imaging::{RgbImage, Rle};

use crate::embedding::Embedding;
use crate::error::{ModelError, Result};
use crate::model::Model;
use crate::prediction::Prediction;
use crate::prompt::Prompt;
use crate::threads::Threads;
use crate::thresholds::Thresholds;
use crops::Crop;
use nms::Corners;

/// A box this near to the edge of a crop, in pixels, is taken to be cut off by it.
const EDGE: f32 = 20.0;

/// What to look for. The names and meanings are those of `SamAutomaticMaskGenerator`; the defaults too, but for the
/// thresholds, which a checkpoint may carry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GenerateOptions {
    /// Points along each side of the grid; 1 to 256.
    pub points_per_side: usize,
    /// Least predicted IoU, exclusive; 0 keeps all.
    pub pred_iou_thresh: f32,
    /// Least stability score; 0 keeps all.
    pub stability_score_thresh: f32,
    /// By how much the threshold is moved for the stability score.
    pub stability_score_offset: f32,
    /// Largest IoU of the boxes of two masks of one crop.
    pub box_nms_thresh: f32,
    /// Layers of crops; 0 to 4. Layer `n` has `4^n` crops.
    pub crop_n_layers: usize,
    /// Largest IoU of the boxes of two masks of different crops.
    pub crop_nms_thresh: f32,
    /// By how much crops overlap, as a part of the picture's short side.
    pub crop_overlap_ratio: f64,
    /// The grid's side is divided by this from layer to layer.
    pub crop_n_points_downscale_factor: usize,
    /// Holes and islands with fewer pixels are removed; 0 for none.
    pub min_mask_region_area: u64,
}

impl From<Thresholds> for GenerateOptions {
    fn from(Thresholds { pred_iou_thresh, stability_score_thresh, box_nms_thresh }: Thresholds) -> Self {
        Self {
            points_per_side: 32,
            pred_iou_thresh,
            stability_score_thresh,
            stability_score_offset: 1.0,
            box_nms_thresh,
            crop_n_layers: 0,
            crop_nms_thresh: 0.7,
            crop_overlap_ratio: 512.0 / 1500.0,
            crop_n_points_downscale_factor: 1,
            min_mask_region_area: 0,
        }
    }
}

/// A mask that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// At the picture's own size.
    pub mask: Rle,
    /// The IoU that the network predicts.
    pub predicted_iou: f32,
    /// Pixels above the raised threshold, as a part of those above the lowered one.
    pub stability_score: f32,
    /// The prompt, in pixels: x, y.
    pub point: [f32; 2],
    /// The crop it was found in, in pixels: x, y, width, height.
    pub crop_box: [f32; 4],
}

/// A proposal in the frame of the whole picture.
struct Proposal {
    found: Generated,
    corners: Corners,
}

impl Model {
    /// The options that suit this model.
    pub fn generate_options(&self) -> GenerateOptions {
        self.thresholds().into()
    }

    /// All masks in the picture that `whole` is the embedding of; the picture itself is needed where there are crops.
    /// `proceed` is asked before every prompt on the CPU, and before every chunk of prompts on another device; where it says
    /// no, the result is `None`.
    ///
    /// ```
    /// use sam_imaging::{Rgb, RgbImage};
    /// use sam_model::{GenerateOptions, Model, Precision, Threads};
    ///
    /// let picture = RgbImage::from_fn(64, 48, |x, y| Rgb(if x > 20 && y > 10 { [230, 200, 40] } else { [20, 30, 60] }));
    /// let model = Model::nano(Precision::F32)?;
    /// let embedding = model.embed(&picture, Threads::ONE)?;
    /// let options = GenerateOptions { points_per_side: 2, pred_iou_thresh: 0.0, ..model.generate_options() };
    /// let found = model.generate(&embedding, None, &options, Threads::ONE, || true)?.unwrap_or_default();
    /// assert!(found.iter().all(|found| found.stability_score >= options.stability_score_thresh));
    /// # Ok::<(), sam_model::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// Options out of range, crops without the picture, an embedding of another model, or a failure of the tensor
    /// library.
    pub fn generate(
        &self,
        whole: &Embedding,
        picture: Option<&RgbImage>,
        options: &GenerateOptions,
        threads: Threads,
        proceed: impl Fn() -> bool + Sync,
    ) -> Result<Option<Vec<Generated>>> {
        options.check()?;
        let size = whole.original_size();
        let crops = crops::crops(size.0, size.1, options.crop_n_layers, options.crop_overlap_ratio);
        let mut proposals = Vec::new();
        for crop in &crops {
            let embedding = match (crop.layer, picture) {
                (0, _) => whole.clone(),
                (_, Some(picture)) => self.embed(&crop.cut(picture), threads)?,
                (_, None) => return Err(ModelError::Prompt("crop_n_layers needs the picture itself".into())),
            };
            let scene = Scene { model: self, embedding, crop, size, options };
            let Some(found) = scene.proposals(threads, &proceed)? else { return Ok(None) };
            proposals.extend(found);
        }
        if crops.len() > 1 {
            // Smaller crops show more.
            let area = |crop: &[f32; 4]| 1.0 / (crop[2] * crop[3]);
            let scores: Vec<f32> = proposals.iter().map(|proposal| area(&proposal.found.crop_box)).collect();
            suppress(&mut proposals, &scores, options.crop_nms_thresh);
        }
        if options.min_mask_region_area > 0 {
            clean(&mut proposals, options);
        }
        Ok(Some(proposals.into_iter().map(|proposal| proposal.found).collect()))
    }
}

impl GenerateOptions {
    fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, least: f64, most: f64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(ModelError::Prompt(format!("{name} is {value}; it must lie between {least} and {most}")))
        };
        within("points_per_side", self.points_per_side as f64, 1.0, 256.0)?;
        within("pred_iou_thresh", self.pred_iou_thresh.into(), 0.0, 1.0)?;
        within("stability_score_thresh", self.stability_score_thresh.into(), 0.0, 1.0)?;
        within("stability_score_offset", self.stability_score_offset.into(), 0.0, 100.0)?;
        within("box_nms_thresh", self.box_nms_thresh.into(), 0.0, 1.0)?;
        within("crop_n_layers", self.crop_n_layers as f64, 0.0, 4.0)?;
        within("crop_nms_thresh", self.crop_nms_thresh.into(), 0.0, 1.0)?;
        within("crop_overlap_ratio", self.crop_overlap_ratio, 0.0, 0.5)?;
        within("crop_n_points_downscale_factor", self.crop_n_points_downscale_factor as f64, 1.0, 16.0)
    }
}

/// A crop that is looked at.
struct Scene<'a> {
    model: &'a Model,
    embedding: Embedding,
    crop: &'a Crop,
    /// Width and height of the whole picture.
    size: (usize, usize),
    options: &'a GenerateOptions,
}

impl Scene<'_> {
    /// What is left of the proposals of all points; `None` if told to stop.
    fn proposals(&self, threads: Threads, proceed: &(impl Fn() -> bool + Sync)) -> Result<Option<Vec<Proposal>>> {
        let scale = self.options.crop_n_points_downscale_factor.pow(self.crop.layer as u32);
        let points: Vec<_> = crops::points(self.options.points_per_side / scale).collect();
        let of_points = |points: &[[f32; 2]]| proceed().then(|| self.of_points(points)).transpose();
        let chunk = self.model.prompts_at_once();
        // Each chunk is worked on by one thread, which needs no waiting for each other.
        let found: Result<Option<Vec<Vec<Proposal>>>> = match threads {
            Threads::ONE => points.chunks(chunk).map(of_points).collect(),
            _ => points.par_chunks(chunk).with_max_len(1).map(of_points).collect(),
        };
        let Some(found) = found? else { return Ok(None) };
        let mut proposals: Vec<_> = found.into_iter().flatten().collect();
        let scores: Vec<f32> = proposals.iter().map(|proposal| proposal.found.predicted_iou).collect();
        suppress(&mut proposals, &scores, self.options.box_nms_thresh);
        Ok(Some(proposals))
    }

    /// The proposals of some points that pass all thresholds.
    fn of_points(&self, points: &[[f32; 2]]) -> Result<Vec<Proposal>> {
        let threshold = self.options.pred_iou_thresh;
        let least = (threshold > 0.0).then_some(threshold);
        let prompts = points.iter().map(|[x, y]| Prompt::point(*x, *y)).collect::<Result<Vec<_>>>()?;
        let predictions = self.model.predict_above(&self.embedding, &prompts, least, Threads::ONE)?;
        let proposals = predictions.iter().zip(points).flat_map(|(prediction, point)| {
            let candidates = 0..prediction.predicted_iou().len();
            candidates.filter_map(|index| self.proposal(prediction, index, *point))
        });
        Ok(proposals.collect())
    }

    fn proposal(&self, prediction: &Prediction, index: usize, point: [f32; 2]) -> Option<Proposal> {
        let (crop, options) = (self.crop, self.options);
        let (offset, least) = (options.stability_score_offset, options.stability_score_thresh);
        let (mask, stability_score) = prediction.mask_above(index, offset, least)?;
        let (left, top) = (crop.x0 as f32, crop.y0 as f32);
        let [x0, y0, x1, y1] = corners(&mask);
        let corners = [x0 + left, y0 + top, x1 + left, y1 + top];
        if self.is_cut_off(&corners) {
            return None;
        }
        let whole = crop.layer == 0;
        let mask = if whole { mask } else { crop.uncrop(&mask, self.size.0, self.size.1) };
        let found = Generated {
            mask,
            predicted_iou: prediction.predicted_iou()[index],
            stability_score,
            point: [point[0] * crop.width() as f32 + left, point[1] * crop.height() as f32 + top],
            crop_box: [left, top, crop.width() as f32, crop.height() as f32],
        };
        Some(Proposal { found, corners })
    }

    /// Whether a side of the box is near to one of the crop that is none of the picture.
    fn is_cut_off(&self, corners: &Corners) -> bool {
        let crop = [self.crop.x0, self.crop.y0, self.crop.x1, self.crop.y1].map(|side| side as f32);
        let picture = [0.0, 0.0, self.size.0 as f32, self.size.1 as f32];
        let near = |a: f32, b: f32| (a - b).abs() <= EDGE;
        (0..4).any(|side| near(corners[side], crop[side]) && !near(corners[side], picture[side]))
    }
}

/// Keeps the proposals that non-maximum suppression leaves, in its order.
fn suppress(proposals: &mut Vec<Proposal>, scores: &[f32], threshold: f32) {
    let boxes: Vec<Corners> = proposals.iter().map(|proposal| proposal.corners).collect();
    let mut all: Vec<Option<Proposal>> = proposals.drain(..).map(Some).collect();
    proposals.extend(nms::keep(&boxes, scores, threshold).into_iter().filter_map(|index| all[index].take()));
}

/// Removes small holes and islands, then what has become the same as another; masks that were left alone win.
fn clean(proposals: &mut Vec<Proposal>, options: &GenerateOptions) {
    let least = options.min_mask_region_area;
    let mut scores = Vec::with_capacity(proposals.len());
    for Proposal { found, corners: of_mask } in proposals.iter_mut() {
        let cleaned = found.mask.clean(least);
        // The reference counts a mask that is one small island as changed, although it keeps it.
        let changed = cleaned != found.mask || (1..least).contains(&cleaned.area());
        scores.push(if changed { 0.0 } else { 1.0 });
        *of_mask = corners(&cleaned);
        found.mask = cleaned;
    }
    suppress(proposals, &scores, options.box_nms_thresh.max(options.crop_nms_thresh));
}

/// The first and the last column and row, as SAM's generator takes boxes; zeros for an empty mask.
fn corners(mask: &Rle) -> Corners {
    let [x, y, width, height] = mask.bbox();
    if width == 0.0 { [0.0; 4] } else { [x, y, x + width - 1.0, y + height - 1.0] }
}
