//! Dense masks take 4 bytes for each pixel, embeddings megabytes, and the engine holds those of a whole vector at once.
//! Their sum is checked before anything is computed or reserved.

use crate::engine::Room;
use crate::failure::{Failure, Result};

/// Checks that masks with these numbers of pixels fit into `room`; `instead` is a remedy to name first.
pub fn check(pixels: &[usize], room: Room, instead: &str) -> Result<()> {
    let Room { bytes: limit, remedy } = room;
    let total = pixels.iter().fold(0_u64, |sum, &count| sum.saturating_add(count as u64));
    let masks = pixels.iter().filter(|&&count| count > 0).count();
    // The engine rounds the reservation up to a power of two.
    let needed = total.checked_next_power_of_two().unwrap_or(u64::MAX).saturating_mul(size_of::<f32>() as u64);
    if masks == 0 || needed <= limit {
        return Ok(());
    }
    Err(Failure::query(format!(
        "the {masks} dense masks of these rows need {needed} bytes at once, more than the limit of {limit}; \
         use {instead}fewer rows at a time (LIMIT), or a higher limit: {remedy}"
    )))
}

/// Checks that embeddings with these numbers of bytes fit into `room`.
pub fn check_embeddings(sizes: &[usize], room: Room) -> Result<()> {
    let Room { bytes: limit, remedy } = room;
    let needed = sizes.iter().fold(0_u64, |sum, &bytes| sum.saturating_add(bytes as u64));
    let count = sizes.iter().filter(|&&bytes| bytes > 0).count();
    if needed <= limit {
        return Ok(());
    }
    Err(Failure::query(format!(
        "the {count} embeddings of these rows need {needed} bytes at once, more than the limit of {limit}; use fewer \
         rows at a time (LIMIT), the type 'f16', or a higher limit: {remedy}"
    )))
}

/// Cuts `values` into consecutive pieces of these lengths.
pub fn split<'a, T>(mut values: &'a mut [T], lengths: &[usize]) -> Result<Vec<&'a mut [T]>> {
    let piece = |&length: &usize| {
        let (head, tail) = std::mem::take(&mut values)
            .split_at_mut_checked(length)
            .ok_or_else(|| Failure::internal("the masks do not fit into their vector"))?;
        values = tail;
        Ok(head)
    };
    lengths.iter().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_limit_and_remedy() {
        let room = |bytes| Room { bytes, remedy: "more" };
        assert_eq!(check(&[0, 0], room(0), ""), Ok(()));
        assert_eq!(check(&[100, 0, 28], room(512), ""), Ok(()));
        let message = check(&[100, 0, 29], room(512), "").unwrap_err().to_string();
        assert!(
            message.starts_with("the 2 dense masks of these rows need 1024 bytes at once, more than the limit of 512;")
        );
        assert!(check(&[usize::MAX, usize::MAX], room(u64::MAX - 1), "").is_err());
        assert_eq!(check_embeddings(&[100, 0, 28], room(128)), Ok(()));
        let message = check_embeddings(&[100, 0, 29], room(128)).unwrap_err().to_string();
        assert!(
            message.starts_with("the 2 embeddings of these rows need 129 bytes at once, more than the limit of 128;")
        );
    }

    #[test]
    fn splits_into_disjoint_pieces() {
        let mut values = [1, 2, 3, 4, 5];
        let pieces = split(&mut values, &[2, 0, 3]).unwrap();
        assert_eq!(pieces, [&mut [1, 2][..], &mut [], &mut [3, 4, 5]]);
        assert!(split(&mut [0_u8; 2], &[3]).is_err());
    }
}
