//! Non-maximum suppression of boxes, as torchvision does it.

/// Left, top, right and bottom.
pub(super) type Corners = [f32; 4];

/// Indices of the boxes to keep, those with the highest score first; of equals the first. A box goes if its IoU with one
/// that is kept exceeds `threshold`.
pub(super) fn keep(boxes: &[Corners], scores: &[f32], threshold: f32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut kept: Vec<usize> = Vec::new();
    for candidate in order {
        // The IoU of two empty boxes is not a number, and no reason to go.
        if !kept.iter().any(|better| iou(&boxes[*better], &boxes[candidate]) > threshold) {
            kept.push(candidate);
        }
    }
    kept
}

fn iou(a: &Corners, b: &Corners) -> f32 {
    let area = |[x0, y0, x1, y1]: &Corners| (x1 - x0) * (y1 - y0);
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let both = width * height;
    both / (area(a) + area(b) - both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_overlapping_boxes_stays() {
        let boxes = [[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [20.0, 0.0, 30.0, 10.0], [0.0, 0.0, 10.0, 10.0]];
        assert_eq!(keep(&boxes, &[0.5, 0.9, 0.7, 0.5], 0.7), [1, 2]);
        // 9/11 of each other
        assert_eq!(keep(&boxes, &[0.5, 0.9, 0.7, 0.5], 0.85), [1, 2, 0]);
        assert_eq!(keep(&boxes, &[0.5; 4], 1.0), [0, 1, 2, 3]);
        assert!(keep(&[], &[], 0.5).is_empty());
    }

    #[test]
    fn empty_boxes_do_not_suppress_each_other() {
        assert_eq!(keep(&[[3.0; 4]; 2], &[1.0, 2.0], 0.1), [1, 0]);
    }
}
