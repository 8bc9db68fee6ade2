//! What the mask generator takes as good enough, where a checkpoint says so.

use serde::{Deserialize, Serialize};

/// The thresholds that go with a checkpoint; SAM's where it states none.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Thresholds {
    pub(crate) pred_iou_thresh: f32,
    pub(crate) stability_score_thresh: f32,
    pub(crate) box_nms_thresh: f32,
}

impl Default for Thresholds {
    /// Those of SAM.
    fn default() -> Self {
        Self { pred_iou_thresh: 0.88, stability_score_thresh: 0.95, box_nms_thresh: 0.7 }
    }
}
