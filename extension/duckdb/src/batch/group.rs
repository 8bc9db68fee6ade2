//! Which rows share a picture, and which of them a prompt.

use crate::failure::{Failure, Result};
use crate::session::{Digest, ImageKey, Loaded, Pool, PromptKey};
use rayon::prelude::*;
use sam_imaging::Limits;
use sam_model::{Prompt, is_embedding};
use std::collections::HashMap;
use std::sync::Arc;

/// Pictures of fewer bytes than this, all together, are hashed faster than a pool is woken.
const FEW_BYTES: usize = 1 << 18;

/// All rows about one picture.
pub(super) struct Group<'a> {
    pub(super) model: Arc<Loaded>,
    pub(super) image: &'a [u8],
    pub(super) key: ImageKey,
    /// Width and height, in pixels.
    pub(super) size: (usize, usize),
    /// The rows that point at something in it.
    pub(super) asks: Vec<Ask>,
    /// The rows that want its embedding, in ascending order.
    pub(super) rows: Vec<usize>,
}

/// All rows with one prompt on it.
pub(super) struct Ask {
    pub(super) prompt: Prompt,
    pub(super) key: PromptKey,
    /// In ascending order.
    pub(super) rows: Vec<usize>,
}

impl Group<'_> {
    pub(super) fn first_row(&self) -> usize {
        self.asks.iter().map(Ask::first_row).chain(self.rows.first().copied()).min().unwrap_or(usize::MAX)
    }
}

impl Ask {
    pub(super) fn first_row(&self) -> usize {
        self.rows.first().copied().unwrap_or(usize::MAX)
    }
}

/// Collects rows. Rows of a join share the very bytes, so that most pictures are recognised by their address and each is
/// hashed once.
pub(super) struct Grouping<'a> {
    digests: HashMap<(*const u8, usize), Digest>,
    /// The number of the group, or why the picture cannot be used.
    by_picture: HashMap<ImageKey, Result<usize>>,
    by_prompt: HashMap<PromptKey, usize>,
    groups: Vec<Group<'a>>,
}

impl<'a> Grouping<'a> {
    /// No rows yet; `images` are the pictures that they will have.
    pub(super) fn new(pool: &Pool, images: impl Iterator<Item = &'a [u8]>) -> Result<Self> {
        let distinct: HashMap<_, _> = images.map(|image| ((image.as_ptr(), image.len()), image)).collect();
        let few = distinct.len() < 2 || distinct.keys().map(|(_, length)| length).sum::<usize>() < FEW_BYTES;
        let images: Vec<_> = distinct.into_values().collect();
        let digests: Vec<_> = match few {
            true => images.iter().map(|image| Digest::of_bytes(image)).collect(),
            false => pool.run(|| images.par_iter().map(|image| Digest::of_bytes(image)).collect())?,
        };
        let digests = images.iter().map(|image| (image.as_ptr(), image.len())).zip(digests).collect();
        Ok(Self { digests, by_picture: HashMap::new(), by_prompt: HashMap::new(), groups: Vec::new() })
    }

    /// Adds a row; rows come in order.
    ///
    /// # Errors
    /// The header of the picture cannot be read.
    pub(super) fn add(
        &mut self,
        row: usize,
        model: &Arc<Loaded>,
        image: &'a [u8],
        prompt: Option<Prompt>,
        limits: &Limits,
    ) -> Result<()> {
        let digest = self.digests.get(&(image.as_ptr(), image.len())).copied();
        let digest = digest.ok_or_else(|| Failure::internal("a picture was not hashed"))?;
        let key = ImageKey { model: model.number(), image: digest };
        let groups = &mut self.groups;
        let group = self.by_picture.entry(key).or_insert_with(|| {
            let size = size(model, image, limits)?;
            groups.push(Group { model: model.clone(), image, key, size, asks: Vec::new(), rows: Vec::new() });
            Ok(groups.len() - 1)
        });
        let Group { asks, rows, .. } = &mut groups[group.clone()?];
        let Some(prompt) = prompt else {
            rows.push(row);
            return Ok(());
        };
        let key = PromptKey { image: key, prompt: Digest::of_prompt(&prompt) };
        let ask = *self.by_prompt.entry(key).or_insert_with(|| {
            asks.push(Ask { prompt, key, rows: Vec::new() });
            asks.len() - 1
        });
        asks[ask].rows.push(row);
        Ok(())
    }

    /// The groups, in the order of their first rows.
    pub(super) fn finish(self) -> Vec<Group<'a>> {
        self.groups
    }
}

/// Width and height in pixels of a picture, or of the picture that an embedding was made from.
fn size(model: &Loaded, image: &[u8], limits: &Limits) -> Result<(usize, usize)> {
    if !is_embedding(image) {
        let header = sam_imaging::info(image, limits)?;
        return Ok((header.width as usize, header.height as usize));
    }
    let (width, height) = model.check_blob(image)?;
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
    limits.check_size(side(width), side(height))?;
    Ok((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Access;
    use crate::session::Session;

    #[test]
    fn rows_are_grouped_by_content() {
        let session = Session::get().unwrap();
        let model = session.model("nano", Access::default()).unwrap();
        let read =
            |name: &str| std::fs::read(format!("{}/../../test/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let (disc, copy, other) = (read("disc.png"), read("disc.png"), read("disc.webp"));
        let rows = [(&disc, 0.1), (&other, 0.1), (&copy, 0.1), (&disc, 0.2), (&disc, 0.1), (&other, 0.3)];
        let mut grouping = Grouping::new(&session.pool(), rows.iter().map(|(image, _)| image.as_slice())).unwrap();
        for (row, (image, x)) in rows.iter().enumerate() {
            let prompt = Prompt::point(*x, 0.5).unwrap();
            grouping.add(row, &model, image, Some(prompt), &Limits::default()).unwrap();
        }
        let groups: Vec<Vec<_>> =
            grouping.finish().into_iter().map(|group| group.asks.into_iter().map(|ask| ask.rows).collect()).collect();
        assert_eq!(groups, [vec![vec![0, 2, 4], vec![3]], vec![vec![1], vec![5]]]);
    }

    #[test]
    fn every_row_of_a_bad_picture_fails() {
        let session = Session::get().unwrap();
        let model = session.model("nano", Access::default()).unwrap();
        let bytes = b"no picture".as_slice();
        let mut grouping = Grouping::new(&session.pool(), std::iter::once(bytes)).unwrap();
        for row in 0..2 {
            let prompt = Prompt::point(0.5, 0.5).unwrap();
            assert!(grouping.add(row, &model, bytes, Some(prompt), &Limits::default()).is_err());
        }
        assert!(grouping.finish().is_empty());
    }
}
