//! Which rows share an image, and which of them a query.

use super::query::Query;
use crate::cache::{Digest, ImageKey, QueryKey};
use crate::failure::{Failure, Result};
use crate::models::Loaded;
use crate::pool::{Pool, map_in_parallel};
use sam_imaging::Limits;
use sam_model::is_embedding;
use std::collections::HashMap;
use std::sync::Arc;

/// Images of fewer bytes than this, all together, are hashed faster than a pool is woken.
const FEW_BYTES: usize = 1 << 18;

/// All rows about one image.
pub(super) struct Group<'a, Q> {
    pub(super) model: Arc<Loaded>,
    pub(super) image: &'a [u8],
    pub(super) key: ImageKey,
    /// Width and height, in pixels.
    pub(super) size: (usize, usize),
    pub(super) queries: Vec<RowsOfQuery<Q>>,
}

/// All rows with one query about it.
pub(super) struct RowsOfQuery<Q> {
    pub(super) query: Q,
    pub(super) key: QueryKey,
    /// In ascending order; at least one.
    pub(super) rows: Vec<usize>,
}

impl<Q> Group<'_, Q> {
    pub(super) fn first_row(&self) -> usize {
        self.rows().min().unwrap_or(usize::MAX)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        self.queries.iter().flat_map(|query| query.rows.iter().copied())
    }
}

/// Where the bytes of an image are, and how many. Not a pointer, so that it can be sent to threads.
type Address = (usize, usize);

fn address(image: &[u8]) -> Address {
    (image.as_ptr().addr(), image.len())
}

/// Collects rows. Rows of a join share the very bytes, so that most images are recognised by their address and each is
/// hashed once.
pub(super) struct Grouping<'a, Q> {
    digests: HashMap<Address, Digest>,
    /// The number of the group, or why the image cannot be used.
    by_image: HashMap<ImageKey, Result<usize>>,
    by_query: HashMap<QueryKey, usize>,
    groups: Vec<Group<'a, Q>>,
}

impl<'a, Q: Query> Grouping<'a, Q> {
    /// No rows yet; `images` are the images that they will have.
    pub(super) fn new(pool: &Pool, images: impl Iterator<Item = &'a [u8]>) -> Result<Self> {
        let distinct = images.map(|image| (address(image), image)).collect();
        Ok(Self {
            digests: digests(pool, distinct)?,
            by_image: HashMap::new(),
            by_query: HashMap::new(),
            groups: Vec::new(),
        })
    }

    /// Adds a row; rows come in order.
    ///
    /// # Errors
    /// The header of the image cannot be read.
    pub(super) fn add(
        &mut self,
        row: usize,
        model: &Arc<Loaded>,
        image: &'a [u8],
        query: Q,
        limits: &Limits,
    ) -> Result<()> {
        let digest = self.digests.get(&address(image)).copied();
        let digest = digest.ok_or_else(|| Failure::internal("an image was not hashed"))?;
        let key = ImageKey { model: model.number(), image: digest };
        let groups = &mut self.groups;
        let group = self.by_image.entry(key).or_insert_with(|| {
            let size = size(model, image, limits)?;
            groups.push(Group { model: model.clone(), image, key, size, queries: Vec::new() });
            Ok(groups.len() - 1)
        });
        let queries = &mut groups[group.clone()?].queries;
        let key = QueryKey { image: key, query: query.digest() };
        let index = *self.by_query.entry(key).or_insert_with(|| {
            queries.push(RowsOfQuery { query, key, rows: Vec::new() });
            queries.len() - 1
        });
        queries[index].rows.push(row);
        Ok(())
    }

    /// The groups, in the order of their first rows.
    pub(super) fn finish(self) -> Vec<Group<'a, Q>> {
        self.groups
    }
}

/// The digests of images, by their addresses.
fn digests(pool: &Pool, images: HashMap<Address, &[u8]>) -> Result<HashMap<Address, Digest>> {
    let few = images.len() < 2 || images.keys().map(|(_, length)| length).sum::<usize>() < FEW_BYTES;
    let images: Vec<_> = images.into_iter().collect();
    let digest = |index: usize| Digest::of_bytes(images[index].1);
    let digests: Vec<_> = match few {
        true => (0..images.len()).map(digest).collect(),
        false => pool.run(|| map_in_parallel(images.len(), 1, digest))?,
    };
    Ok(images.into_iter().map(|(address, _)| address).zip(digests).collect())
}

/// Width and height in pixels of an image, or of the image that an embedding was made from.
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
    use crate::batch::query::Annotate;
    use crate::session::{Access, Session};
    use crate::settings::Settings;
    use sam_model::Prompt;

    fn query(x: f64) -> Annotate {
        Annotate(Prompt::point(x as f32, 0.5).unwrap())
    }

    #[test]
    fn rows_are_grouped_by_content() {
        let session = Session::new(Settings::default());
        let model = session.model("nano", Access::default()).unwrap();
        let read =
            |name: &str| std::fs::read(format!("{}/../../test/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let (disc, copy, other) = (read("disc.png"), read("disc.png"), read("disc.webp"));
        let rows = [(&disc, 0.1), (&other, 0.1), (&copy, 0.1), (&disc, 0.2), (&disc, 0.1), (&other, 0.3)];
        let mut grouping = Grouping::new(&session.pool(), rows.iter().map(|(image, _)| image.as_slice())).unwrap();
        for (row, (image, x)) in rows.iter().enumerate() {
            grouping.add(row, &model, image, query(*x), &Limits::default()).unwrap();
        }
        let groups = grouping.finish().into_iter();
        let groups: Vec<Vec<_>> =
            groups.map(|group| group.queries.into_iter().map(|query| query.rows).collect()).collect();
        assert_eq!(groups, [vec![vec![0, 2, 4], vec![3]], vec![vec![1], vec![5]]]);
    }

    #[test]
    fn every_row_of_a_bad_image_fails() {
        let session = Session::new(Settings::default());
        let model = session.model("nano", Access::default()).unwrap();
        let bytes = b"no picture".as_slice();
        let mut grouping = Grouping::new(&session.pool(), std::iter::once(bytes)).unwrap();
        for row in 0..2 {
            assert!(grouping.add(row, &model, bytes, query(0.5), &Limits::default()).is_err());
        }
        assert!(grouping.finish().is_empty());
    }
}
