//! What panics or fails leaves nothing in flight: the next call works.

use crate::support::*;
use sam_runtime::{Access, Annotate, Batch, Call, Client, Failure, Kind, Session};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether `work` panics.
fn panics<T>(work: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

fn annotate(session: &Session, client: &Client, images: &[Vec<u8>]) -> usize {
    let call = Call::new(session, client, "test");
    let rows = images.iter().map(|image| row(image, point(0))).collect();
    let found = Batch::new(&call, rows, |point, _| Ok(Annotate(point))).unwrap().answers().unwrap();
    found.into_iter().flatten().count()
}

#[test]
fn a_finish_that_panics_leaves_the_session_in_order() {
    within(60, || {
        let images: Vec<_> = (0..6).map(picture).collect();
        for (threads, bad) in [(1, 0), (1, 5), (2, 3), (4, 2)] {
            let (session, client) = (session(threads, PLENTY), client());
            let call = Call::new(&session, &client, "test");
            let rows = images.iter().map(|image| row(image, point(0))).collect();
            let batch = Batch::new(&call, rows, |point, _| Ok(Annotate(point))).unwrap();
            let finish = |_: &_, number: usize| if number == bad { panic!("a defect of the host") } else { Ok(number) };
            assert!(panics(|| batch.run(Vec::from_iter(0..6), finish)));
            assert_eq!(annotate(&session, &client, &images), 6);
            // The answers that had been found were kept, the bad row's among them.
            assert!(session.stats().inference.cache_hits.get() >= 1);
        }
    });
}

#[test]
fn a_query_that_panics_hands_on_to_who_waits_for_it() {
    within(30, || {
        let (session, client) = (session(2, PLENTY), client());
        let (image, others) = (picture(0), AtomicUsize::new(0));
        let tries = Arc::new(AtomicUsize::new(0));
        let query = {
            let tries = tries.clone();
            Custom::new(1, move |_, _| match tries.fetch_add(1, Ordering::SeqCst) {
                0 => {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    panic!("a defect of the query")
                }
                _ => Ok(9),
            })
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let call = Call::new(&session, &client, "test");
                    if !panics(|| assert_eq!(ask(&call, &[(&image, query.clone())]), Ok(vec![Some(9)]))) {
                        others.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        // The one that panicked, and one that computed it for all the others.
        assert_eq!((others.into_inner(), tries.load(Ordering::SeqCst)), (3, 2));
    });
}

#[test]
fn a_query_that_is_not_made_leaves_nothing_in_flight() {
    within(30, || {
        let (session, client) = (session(2, PLENTY), client());
        let images = [picture(0), picture(1)];
        let call = Call::new(&session, &client, "test");
        let rows = || images.iter().map(|image| row(image, point(0))).collect();
        let made = AtomicUsize::new(0);
        let second = |point, _: &_| match made.fetch_add(1, Ordering::SeqCst) {
            1 => panic!("a defect of the host"),
            _ => Ok(Annotate(point)),
        };
        assert!(panics(|| Batch::new(&call, rows(), second).map(|_| ())));
        // Nor does a batch that is never run.
        drop(Batch::new(&call, rows(), |point, _| Ok(Annotate(point))).unwrap());
        assert_eq!(session.stats().images_decoded.get(), 0);
        assert_eq!(annotate(&session, &client, &images), 2);
    });
}

#[test]
fn a_failure_half_way_is_not_kept() {
    within(30, || {
        let (session, client) = (session(2, PLENTY), client());
        let images: Vec<_> = (0..4).map(picture).collect();
        let broken = Arc::new(AtomicBool::new(true));
        let query = {
            let broken = broken.clone();
            Custom::new(1, move |_, image| match broken.load(Ordering::SeqCst) && image.bytes == picture(2) {
                true => Err(Failure::internal("the network is broken")),
                false => Ok(5),
            })
        };
        let rows: Vec<_> = images.iter().map(|image| (image.as_slice(), query.clone())).collect();
        let call = Call::new(&session, &client, "test");
        assert_eq!(ask(&call, &rows).unwrap_err().kind(), Kind::Internal);
        broken.store(false, Ordering::SeqCst);
        assert_eq!(ask(&call, &rows), Ok(vec![Some(5); 4]));
        // No picture was encoded again.
        assert_eq!(session.stats().inference.encodes.get(), 4);
    });
}

#[test]
fn a_model_that_cannot_be_read_is_tried_again() {
    within(60, || {
        let folder = std::env::temp_dir().join(format!("sam-stress-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path: PathBuf = folder.join("model.safetensors");
        let whole = std::fs::read(nano_file()).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let (session, name) = (session(2, PLENTY), path.to_str().unwrap());
        let load = || session.model(name, Access::default()).map(|model| model.number());
        let all = || {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            })
        };
        assert!(all().into_iter().all(|model| model.is_err_and(|failure| failure.kind() == Kind::Model)));
        std::fs::write(&path, &whole).unwrap();
        assert!(all().into_iter().all(|model| model == Ok(0)));
        assert_eq!(session.stats().models_loaded.get(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    });
}
