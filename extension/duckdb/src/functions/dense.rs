//! Dense masks are written where the engine wants them: each row into a piece of one list.

use sam_runtime::{Failure, Result};

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
    fn splits_into_disjoint_pieces() {
        let mut values = [1, 2, 3, 4, 5];
        let pieces = split(&mut values, &[2, 0, 3]).unwrap();
        assert_eq!(pieces, [&mut [1, 2][..], &mut [], &mut [3, 4, 5]]);
        assert!(split(&mut [0_u8; 2], &[3]).is_err());
    }
}
