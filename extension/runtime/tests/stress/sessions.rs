//! Several sessions, and what is asked of one while others use it.

use crate::support::*;
use sam_runtime::cache::Held;
use sam_runtime::{Access, Annotate, Batch, Call, Client, ClientSettings, Generate, Record, Session, Settings};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn annotate(session: &Session, client: &Client) -> Vec<Option<Arc<Record>>> {
    let call = Call::new(session, client, "test");
    let images = [picture(0), picture(1)];
    let rows = images.iter().map(|image| row(image, point(0))).collect();
    Batch::new(&call, rows, |point, _| Ok(Annotate(point))).unwrap().answers().unwrap()
}

#[test]
fn sessions_that_work_side_by_side_answer_alike_and_share_nothing() {
    within(60, || {
        let sessions = [session(1, PLENTY), session(3, PLENTY)];
        let client = client();
        let found = std::thread::scope(|scope| {
            let threads = [0, 1, 0, 1].map(|index| {
                scope.spawn({
                    let (sessions, client) = (&sessions, &client);
                    move || annotate(&sessions[index], client)
                })
            });
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(found.iter().all(|other| *other == found[0]));
        for session in &sessions {
            let stats = session.stats();
            assert_eq!(
                (stats.models_loaded.get(), stats.inference.encodes.get(), stats.inference.decodes.get()),
                (1, 2, 2)
            );
        }
    });
}

#[test]
fn what_is_inherited_are_settings_and_models() {
    within(60, || {
        let (parent, client) = (session(2, PLENTY), client());
        let found = annotate(&parent, &client);
        let child = Session::inherit(&parent);
        assert_eq!(child.settings(), parent.settings());
        let number = |session: &Session| session.model("nano", Access::default()).unwrap().number();
        assert_eq!(number(&child), number(&parent));
        assert_eq!((child.stats().models_loaded.get(), child.caches().held().entries), (0, 0));
        assert_eq!(annotate(&child, &client), found);
        // What one lets go the other keeps.
        assert!(child.unload("nano", Access::default()).unwrap());
        assert!(parent.list(Access::default())[0].model.is_some());
    });
}

#[test]
fn settings_can_be_inherited_while_they_change() {
    within(60, || {
        let (session, client, ended) = (session(1, 0), client(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for length in (1..200).cycle().take_while(|_| !ended.load(Ordering::Relaxed)) {
                    let change = |_: &mut Settings, own: &mut ClientSettings| {
                        own.model_folder = Some("a".repeat(length).into());
                        Ok(())
                    };
                    session.configure(&client, change).unwrap();
                }
            });
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(1) {
                let folder = Client::inherit(&client).settings().model_folder.clone();
                let right = folder.is_none_or(|folder| folder.to_string_lossy().bytes().all(|byte| byte == b'a'));
                ended.store(!right, Ordering::Relaxed);
                assert!(right, "memory that was freed is read");
            }
            ended.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_model_in_use_is_listed_and_can_be_unloaded() {
    within(60, || {
        let (session, ended) = (session(1, PLENTY), AtomicBool::new(false));
        let file = nano_file();
        for name in ["nano", file.to_str().unwrap()] {
            session.model(name, Access::default()).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        while !ended.load(Ordering::Relaxed) {
                            session.model(name, Access::default()).unwrap();
                        }
                    });
                }
                let listed = || session.list(Access::default()).iter().any(|listing| listing.model.is_some());
                let start = Instant::now();
                let mut always = true;
                while start.elapsed() < Duration::from_secs(1) {
                    always &= listed();
                }
                ended.store(true, Ordering::Relaxed);
                assert!(always);
            });
            ended.store(false, Ordering::Relaxed);
            assert_eq!(session.unload(name, Access::default()), Ok(true));
            assert_eq!(session.unload(name, Access::default()), Ok(false));
        }
    });
}

#[test]
fn what_is_computed_with_a_model_after_it_was_unloaded_is_dropped() {
    within(60, || {
        let (session, client) = (Arc::new(session(2, PLENTY)), client());
        let unloading = session.clone();
        let query = Custom::new(1, move |_, _| {
            assert_eq!(unloading.unload("nano", Access::default()), Ok(true));
            Ok(7)
        });
        let call = Call::new(&session, &client, "test");
        assert_eq!(ask(&call, &[(&picture(1), query)]), Ok(vec![Some(7)]));
        assert_eq!(session.caches().held(), Held::default());
    });
}

#[test]
fn what_is_rescued_of_a_failed_batch_is_counted_and_goes_with_its_model() {
    within(60, || {
        // A cache that keeps nothing.
        let (session, client) = (session(1, 0), client());
        let call = Call::new(&session, &client, "test");
        let (good, bad) = (picture(1), damaged(2));
        let rows = vec![row(&good, ()), row(&bad, ())];
        let batch = Batch::new(&call, rows, |(), model| Ok(Generate(few_points(model)))).unwrap();
        assert!(batch.answers().is_err());
        assert!(session.caches().held().bytes > 0);
        assert_eq!(session.unload("nano", Access::default()), Ok(true));
        assert_eq!(session.caches().held(), Held::default());
    });
}
