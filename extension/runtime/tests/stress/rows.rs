//! Rows of all shapes.

use crate::support::*;
use sam_model::{FloatType, GenerateOptions};
use sam_runtime::{Annotate, Batch, Call, Embed, Generate, Kind, Request, Segment};

#[test]
fn equal_images_are_one_whether_they_share_their_bytes_or_not() {
    within(30, || {
        let (session, client) = (session(2, PLENTY), client());
        let call = Call::new(&session, &client, "test");
        let (image, copy) = (picture(0), picture(0));
        let rows = [(&image, 0), (&copy, 0), (&image, 1), (&copy, 1), (&image, 0)];
        let rows = rows.map(|(image, prompt)| row(image, point(prompt))).into();
        let batch = Batch::new(&call, rows, |point, _| Ok(Annotate(point))).unwrap();
        let found: Vec<_> = batch.answers().unwrap().into_iter().flatten().collect();
        assert!(found[0] == found[1] && found[0] == found[4] && found[2] == found[3] && found[0] != found[2]);
        assert_eq!((session.stats().inference.encodes.get(), session.stats().inference.decodes.get()), (1, 2));
    });
}

#[test]
fn no_rows_and_rows_without_an_argument_have_no_answers() {
    within(30, || {
        let (session, client) = (session(2, PLENTY), client());
        let call = Call::new(&session, &client, "test");
        for count in [0, 1, 7] {
            let rows = std::iter::repeat_with(|| None::<Request<'_, ()>>).take(count).collect();
            let batch = Batch::new(&call, rows, |(), _| Ok(Embed)).unwrap();
            assert_eq!((batch.models().len(), batch.pixels()), (count, vec![0; count]));
            let found = batch.answers().unwrap();
            assert!(found.len() == count && found.iter().all(Option::is_none));
        }
        assert_eq!(session.stats().models_loaded.get(), 0);
    });
}

#[test]
fn an_image_of_no_bytes_is_a_row_that_fails() {
    within(30, || {
        let (session, client, tolerant) = (session(2, PLENTY), client(), tolerant());
        let image = picture(0);
        let rows = || vec![row(&[], point(0)), row(&image[..0], point(0)), row(&image, point(0))];
        let call = Call::new(&session, &client, "test");
        let failure = Batch::new(&call, rows(), |point, _| Ok(Segment(point))).err().unwrap();
        assert_eq!(failure.kind(), Kind::Input);
        let call = Call::new(&session, &tolerant, "test");
        let found = Batch::new(&call, rows(), |point, _| Ok(Segment(point))).unwrap().answers().unwrap();
        assert!(found[0].is_none() && found[1].is_none() && found[2].is_some());
        assert_eq!(tolerant.errors().total(), 2);
    });
}

#[test]
fn thousands_of_rows_cost_what_they_have_in_different_ones() {
    within(120, || {
        let (session, client) = (session(2, PLENTY), client());
        let call = Call::new(&session, &client, "test");
        let images: Vec<_> = (0..5).map(picture).collect();
        let copies = images.clone();
        let rows = (0..5000).map(|index| {
            let images = if index % 3 == 0 { &images } else { &copies };
            (index % 7 != 6).then(|| row(&images[index % 5], point((index / 5 % 20) as u32))).flatten()
        });
        let batch = Batch::new(&call, rows.collect(), |point, _| Ok(Annotate(point))).unwrap();
        let found = batch.run(Vec::from_iter(0..5000), |record, index| Ok((index, record.clone()))).unwrap();
        for (index, row) in found.iter().enumerate() {
            // The first 100 rows have all there is; those of them without an argument come again 200 rows later.
            let first = found[index % 100].as_ref().or(found[index % 100 + 200].as_ref()).unwrap();
            let expected = (index % 7 != 6).then(|| (index, first.1.clone()));
            assert_eq!(*row, expected);
        }
        assert_eq!((session.stats().inference.encodes.get(), session.stats().inference.decodes.get()), (5, 100));
    });
}

#[test]
fn many_images_are_searched_as_each_alone() {
    within(120, || {
        let images: Vec<_> = (0..5).map(picture).collect();
        let search = |threads, images: &[Vec<u8>]| {
            let (session, client) = (session(threads, 0), client());
            let call = Call::new(&session, &client, "test");
            let rows = images.iter().map(|image| row(image, ())).collect();
            let batch = Batch::new(&call, rows, |(), model| Ok(Generate(few_points(model)))).unwrap();
            batch.answers().unwrap().into_iter().map(|found| format!("{found:?}")).collect::<Vec<_>>()
        };
        let alone: Vec<_> = images.chunks(1).flat_map(|image| search(1, image)).collect();
        assert_eq!(search(3, &images), alone);
    });
}

#[test]
fn parts_of_a_picture_cannot_be_searched_in_its_embedding() {
    within(60, || {
        let (session, client, tolerant) = (session(2, PLENTY), client(), tolerant());
        let image = picture(0);
        let call = Call::new(&session, &client, "test");
        let model = call.model("nano").unwrap();
        let embedding = Batch::new(&call, vec![row(&image, ())], |(), _| Ok(Embed)).unwrap().answers().unwrap();
        let blob = embedding[0].as_ref().unwrap().to_bytes(&model, FloatType::F32).unwrap();
        let rows = || vec![row(&blob, ()), row(&image, ())];
        let options = GenerateOptions { crop_n_layers: 1, ..few_points(&model) };
        let batch = Batch::new(&call, rows(), |(), _| Ok(Generate(options))).unwrap();
        let failure = batch.answers().unwrap_err();
        assert_eq!(failure.kind(), Kind::Input);
        assert!(failure.text().starts_with("crop_n_layers"), "{failure}");
        let call = Call::new(&session, &tolerant, "test");
        let found = Batch::new(&call, rows(), |(), _| Ok(Generate(options))).unwrap().answers().unwrap();
        assert!(found[0].is_none() && found[1].is_some());
        // Without crops the two are one and the same.
        let batch = Batch::new(&call, rows(), |(), model| Ok(Generate(few_points(model)))).unwrap();
        let found = batch.answers().unwrap();
        assert_eq!(format!("{:?}", found[0]), format!("{:?}", found[1]));
    });
}

#[test]
fn an_embedding_of_another_model_is_a_row_that_fails() {
    within(60, || {
        let (session, client) = (session(2, PLENTY), client());
        let other =
            std::fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/reference/vit_tiny/plain.pt"));
        let other = other.unwrap();
        let other = other.to_str().unwrap();
        let image = picture(0);
        let call = Call::new(&session, &client, "test");
        let embed = vec![Some(Request { model: other, image: &image, prompt: () })];
        let embedding = Batch::new(&call, embed, |(), _| Ok(Embed)).unwrap().answers().unwrap().pop().flatten();
        let blob = embedding.unwrap().to_bytes(&call.model(other).unwrap(), FloatType::F32).unwrap();
        let failure = Batch::new(&call, vec![row(&blob, point(0))], |point, _| Ok(Annotate(point))).err().unwrap();
        assert_eq!(failure.kind(), Kind::Input);
        let right = vec![Some(Request { model: other, image: &blob, prompt: point(0) })];
        let batch = Batch::new(&call, right, |point, _| Ok(Annotate(point))).unwrap();
        assert!(batch.answers().unwrap()[0].is_some());
    });
}
