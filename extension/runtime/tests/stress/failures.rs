//! Of several rows that fail the first is reported, whichever thread was faster; or just these rows are left out.

use crate::support::*;
use sam_runtime::{Annotate, Batch, Call, Client, Embed, Failure, Generate, Kind, Query, Result, Segment, Session};
use std::time::Duration;

const KINDS: u32 = 4;

/// Which rows have an answer to a query of this kind, each about an image.
fn answered(session: &Session, client: &Client, kind: u32, images: &[Vec<u8>]) -> Result<Vec<bool>> {
    fn run<Q: Query>(batch: Batch<'_, Q>) -> Result<Vec<bool>> {
        Ok(batch.answers()?.iter().map(Option::is_some).collect())
    }
    let call = Call::new(session, client, "test");
    let rows = images.iter().map(|image| row(image, point(0))).collect();
    match kind {
        0 => run(Batch::new(&call, rows, |point, _| Ok(Segment(point)))?),
        1 => run(Batch::new(&call, rows, |point, _| Ok(Annotate(point)))?),
        2 => run(Batch::new(&call, rows, |_, _| Ok(Embed))?),
        _ => run(Batch::new(&call, rows, |_, model| Ok(Generate(few_points(model))))?),
    }
}

/// Pictures of which rows 2, 5 and 6 end too early; each is damaged in another way.
fn some_damaged() -> Vec<Vec<u8>> {
    let truncated = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/data/truncated.jpg")).unwrap();
    (0..8)
        .map(|number| match number {
            2 => damaged(2),
            5 => truncated.clone(),
            6 => damaged(2),
            _ => picture(number % 4),
        })
        .collect()
}

#[test]
fn the_first_row_that_fails_is_reported_for_every_kind_of_query() {
    within(120, || {
        let images = some_damaged();
        let mut back: Vec<_> = images.clone();
        back.swap(2, 5);
        for images in [images, back] {
            let alone = answered(&session(1, 0), &client(), 1, &images[2..3]).unwrap_err();
            for (kind, threads) in (0..KINDS).flat_map(|kind| [1, 2, 8].map(|threads| (kind, threads))) {
                let (session, client) = (session(threads, PLENTY), client());
                // Cold, and with what the first try has left in the caches.
                for _ in 0..2 {
                    let failure = answered(&session, &client, kind, &images).unwrap_err();
                    assert_eq!(failure, alone, "kind {kind}, {threads} threads");
                }
                assert_eq!(client.errors().total(), 0);
            }
        }
    });
}

#[test]
fn rows_that_fail_are_left_out_and_listed_in_order() {
    within(60, || {
        let images = some_damaged();
        for kind in 0..KINDS {
            let (session, client) = (session(4, PLENTY), tolerant());
            let found = answered(&session, &client, kind, &images).unwrap();
            assert_eq!(found, [true, true, false, true, true, false, false, true], "kind {kind}");
            let listed: Vec<_> = client.errors().latest().into_iter().map(|entry| entry.image.unwrap().0).collect();
            assert_eq!(listed, [images[2].len(), images[5].len(), images[6].len()]);
        }
    });
}

#[test]
fn a_slow_row_that_fails_comes_before_a_quick_one() {
    within(60, || {
        let images: Vec<_> = (0..6).map(picture).collect();
        for threads in [1, 2, 6] {
            let (session, client) = (session(threads, PLENTY), client());
            let fail = |row: u64, milliseconds| {
                Custom::new(row, move |_, _| {
                    std::thread::sleep(Duration::from_millis(milliseconds));
                    Err(Failure::input(format!("row {row}")))
                })
            };
            let rows = images.iter().zip(0..).map(|(image, row)| match row {
                1 => (image.as_slice(), fail(row, 100)),
                3 | 5 => (image.as_slice(), fail(row, 0)),
                _ => (image.as_slice(), Custom::new(row, |_, _| Ok(1))),
            });
            let failure = ask(&Call::new(&session, &client, "test"), &Vec::from_iter(rows)).unwrap_err();
            assert_eq!(failure.text(), "row 1", "{threads} threads");
        }
    });
}

#[test]
fn of_rows_that_cannot_be_finished_the_first_is_reported() {
    within(60, || {
        let images = [picture(0), picture(1)];
        for threads in [1, 4] {
            let (session, client) = (session(threads, PLENTY), client());
            let call = Call::new(&session, &client, "test");
            let rows = (0..40).map(|number| row(&images[number % 2], point(number as u32 % 3))).collect();
            let batch = Batch::new(&call, rows, |point, _| Ok(Annotate(point))).unwrap();
            let finish = |_: &_, row: usize| match row {
                11.. => Err(Failure::input(format!("row {row}"))),
                _ => Ok(row),
            };
            assert_eq!(batch.run(Vec::from_iter(0..40), finish).unwrap_err().text(), "row 11");
        }
    });
}

#[test]
fn what_is_not_the_fault_of_a_row_is_never_skipped() {
    within(30, || {
        let (session, client) = (session(2, PLENTY), tolerant());
        let images: Vec<_> = (0..3).map(picture).collect();
        let fail = |row, kind| Custom::new(row, move |_, _| Err(Failure::new(kind, format!("row {row}"))));
        let rows = [
            (images[0].as_slice(), fail(0, Kind::Input)),
            (images[1].as_slice(), fail(1, Kind::Model)),
            (images[2].as_slice(), fail(2, Kind::Internal)),
        ];
        let failure = ask(&Call::new(&session, &client, "test"), &rows).unwrap_err();
        assert_eq!((failure.kind(), failure.text()), (Kind::Model, "row 1"));
    });
}
