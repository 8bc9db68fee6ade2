//! What a host may do wrong is an error, not a wrong answer, and nobody waits for ever.

use crate::support::*;
use rayon::prelude::*;
use sam_runtime::cache::{Held, Lookup};
use sam_runtime::{Access, Annotate, Batch, Call, Kind, MAX_THREADS};

#[test]
fn every_row_has_a_payload() {
    within(30, || {
        let (session, client) = (session(2, PLENTY), client());
        let call = Call::new(&session, &client, "test");
        let image = picture(0);
        let run = |payloads: usize| {
            let rows = vec![row(&image, point(0)), None, row(&image, point(1))];
            let batch = Batch::new(&call, rows, |point, _| Ok(Annotate(point))).unwrap();
            batch.run(vec![(); payloads], |record, ()| Ok(record.rle.area()))
        };
        for payloads in [0, 2, 4] {
            let failure = run(payloads).unwrap_err();
            assert_eq!((failure.kind(), failure.text().contains("3 rows")), (Kind::Internal, true));
        }
        assert_eq!(run(3).unwrap().iter().flatten().count(), 2);
    });
}

#[test]
fn a_batch_inside_of_another_is_refused() {
    within(30, || {
        for threads in [1, 2] {
            let (session, client) = (session(threads, PLENTY), client());
            let call = Call::new(&session, &client, "test");
            let images = [picture(0), picture(1)];
            let batch = |number| {
                let rows = images.iter().map(|image| row(image, point(number))).collect();
                Batch::new(&call, rows, |point, _| Ok(Annotate(point)))
            };
            // Rows of the outer batch are in flight, for which the inner one would wait.
            let inner = batch(0).unwrap().run(vec![(); 2], |_, ()| Ok(batch(1)?.answers()?.len()));
            assert_eq!(inner.unwrap_err().kind(), Kind::Internal);
            let model =
                batch(0).unwrap().run(vec![(); 2], |_, ()| session.model("nano", Access::default()).map(|_| ()));
            assert_eq!(model.unwrap_err().kind(), Kind::Internal);
            assert_eq!(batch(0).unwrap().answers().unwrap().len(), 2);
        }
    });
}

#[test]
fn a_query_may_spread_rows_that_need_no_model() {
    within(30, || {
        let (session, client) = (session(2, PLENTY), client());
        let image = picture(0);
        let query = Custom::new(1, |call, _| {
            let halves = call.rows(&[Some(4_u32), None, Some(6)], 1, |number| Ok(Some(number / 2)))?;
            Ok(halves.into_iter().flatten().sum())
        });
        assert_eq!(ask(&Call::new(&session, &client, "test"), &[(&image, query)]), Ok(vec![Some(5)]));
    });
}

#[test]
fn a_number_of_threads_out_of_range_is_taken_into_it() {
    within(60, || {
        let client = client();
        assert_eq!(session(usize::MAX, 0).pool().threads(), MAX_THREADS);
        let session = session(0, PLENTY);
        let image = picture(0);
        assert_eq!(
            ask(&Call::new(&session, &client, "test"), &[(&image, Custom::new(1, |_, _| Ok(1)))]),
            Ok(vec![Some(1)])
        );
    });
}

#[test]
fn a_host_may_have_a_pool_of_rayons_of_its_own() {
    within(120, || {
        let host = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let images: Vec<_> = (0..3).map(picture).collect();
        for _ in 0..5 {
            let (session, client) = (session(2, PLENTY), client());
            let work = |number: usize| {
                let call = Call::new(&session, &client, "test");
                let rows = images.iter().map(|image| row(image, point(number as u32 % 2))).collect();
                Batch::new(&call, rows, |point, _| Ok(Annotate(point)))?.answers()
            };
            let found: Result<Vec<_>, _> = host.install(|| (0..16).into_par_iter().map(work).collect());
            assert!(found.unwrap().iter().all(|rows| rows.iter().all(Option::is_some)));
            assert_eq!((session.stats().models_loaded.get(), session.stats().inference.encodes.get()), (1, 3));
        }
    });
}

#[test]
fn a_result_that_claims_any_size_is_not_kept() {
    let session = session(1, PLENTY);
    let key = sam_runtime::cache::ImageKey { model: 0, image: sam_runtime::cache::Digest::of_bytes(b"") };
    match session.caches().embeddings.get(&key) {
        Lookup::Miss(flight) => flight.put(Err(sam_runtime::Failure::input("")), usize::MAX),
        _ => panic!("nothing was computed yet"),
    }
    assert_eq!(session.caches().held(), Held::default());
}
