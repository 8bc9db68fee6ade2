//! What images and queries are known by in the cache.

use sam_model::Prompt;

/// The first 128 bits of BLAKE3.
///
/// Two images with the same digest would share their masks. By chance that happens with a probability of 2^-65 among 2^32
/// images, and by intent to nobody who cannot break BLAKE3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 16]);

/// An image as one model sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageKey {
    /// The number of the loaded model.
    pub model: u64,
    /// The bytes of the image.
    pub image: Digest,
}

/// A query about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QueryKey {
    /// The image.
    pub image: ImageKey,
    /// The prompt, or whatever the query consists of.
    pub query: Digest,
}

impl Digest {
    /// Of bytes, such as those of an image.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::shorten(&blake3::hash(bytes))
    }

    /// Of a prompt.
    pub fn of_prompt(prompt: &Prompt) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(prompt.points().len() as u64).to_le_bytes());
        for ([x, y], label) in prompt.points().iter().zip(prompt.labels()) {
            hasher.update(&x.to_le_bytes()).update(&y.to_le_bytes()).update(&[*label]);
        }
        for side in prompt.bbox().into_iter().flatten() {
            hasher.update(&side.to_le_bytes());
        }
        Self::shorten(&hasher.finalize())
    }

    fn shorten(hash: &blake3::Hash) -> Self {
        Self(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_differ_by_content_and_by_nothing_else() {
        let digest = |points: &[[f32; 2]], labels: Option<&[i32]>, bbox| {
            Digest::of_prompt(&Prompt::new(points.to_vec(), labels, bbox).unwrap())
        };
        let (a, b) = ([0.1, 0.2], [0.3, 0.4]);
        let corners = Some([0.1, 0.2, 0.3, 0.4]);
        let point = digest(&[a], None, None);
        assert_eq!(point, Digest::of_prompt(&Prompt::point(0.1, 0.2).unwrap()));
        assert_eq!(point, digest(&[a], Some(&[1]), None));
        let others = [
            digest(&[a], Some(&[0]), None),
            digest(&[b], None, None),
            digest(&[a, b], None, None),
            digest(&[b, a], None, None),
            digest(&[], None, corners),
            digest(&[a], None, corners),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(*other, point);
            assert!(others[..index].iter().all(|earlier| earlier != other));
        }
    }

    #[test]
    fn digests_are_shown_in_hexadecimal() {
        // The first half of BLAKE3 of nothing.
        assert_eq!(
            format!("{:x?}", Digest::of_bytes(b"").0),
            "[af, 13, 49, b9, f5, f9, a1, a6, a0, 40, 4d, ea, 36, dc, c9, 49]"
        );
    }
}
