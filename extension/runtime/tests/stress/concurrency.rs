//! Many threads ask one session: the answers are those of a thread alone, and nothing is computed twice.

use crate::support::*;
use sam_model::FloatType;
use sam_runtime::{Access, Annotate, Batch, Call, Client, ClientSettings, Embed, Generate, Kind, Result, Segment};
use sam_runtime::{Session, Settings};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const PICTURES: u32 = 3;
const PROMPTS: u32 = 3;

/// The answers to one kind of query about some pictures, as text that has all their bits.
fn answers(session: &Session, client: &Client, kind: u32, pictures: &[u32], prompts: &[u32]) -> Result<Vec<String>> {
    let call = Call::new(session, client, "test");
    let images: Vec<_> = pictures.iter().map(|&number| picture(number)).collect();
    let pairs = || images.iter().flat_map(|image| prompts.iter().map(|&prompt| row(image, point(prompt)))).collect();
    let alone = || images.iter().map(|image| row(image, ())).collect();
    Ok(match kind {
        0 => {
            let found = Batch::new(&call, pairs(), |prompt, _| Ok(Segment(prompt)))?.answers()?;
            let text = |found: &sam_model::Prediction| {
                let bits: Vec<_> = found.low_res_logits(found.best()).iter().map(|logit| logit.to_bits()).collect();
                format!("{:?} {bits:?}", found.predicted_iou())
            };
            found.iter().flatten().map(|found| text(found)).collect()
        }
        1 => {
            let found = Batch::new(&call, pairs(), |prompt, _| Ok(Annotate(prompt)))?.answers()?;
            found.iter().flatten().map(|record| format!("{record:?}")).collect()
        }
        2 => {
            let model = call.model("nano")?;
            let found = Batch::new(&call, alone(), |(), _| Ok(Embed))?.answers()?;
            let bytes = |found: &sam_model::Embedding| found.to_bytes(&model, FloatType::F32).unwrap();
            found.iter().flatten().map(|found| format!("{:?}", bytes(found))).collect()
        }
        _ => {
            let found = Batch::new(&call, alone(), |(), model| Ok(Generate(few_points(model))))?.answers()?;
            found.iter().flatten().map(|found| format!("{found:?}")).collect()
        }
    })
}

/// What a thread alone is answered, by kind: for every picture, for every prompt if it has one.
fn expected() -> [Vec<String>; 4] {
    let (session, client) = (session(1, 0), client());
    let (pictures, prompts) = (Vec::from_iter(0..PICTURES), Vec::from_iter(0..PROMPTS));
    [0, 1, 2, 3].map(|kind| answers(&session, &client, kind, &pictures, &prompts).unwrap())
}

fn check(expected: &[Vec<String>; 4], kind: u32, pictures: &[u32], prompts: &[u32], found: &[String]) {
    let expected = &expected[kind as usize];
    let index = |picture: u32, prompt: u32| (picture * PROMPTS + prompt) as usize;
    let rows: Vec<&String> = match kind {
        0 | 1 => pictures.iter().flat_map(|&of| prompts.iter().map(move |&at| &expected[index(of, at)])).collect(),
        _ => pictures.iter().map(|&picture| &expected[picture as usize]).collect(),
    };
    assert!(found.iter().eq(rows), "kind {kind}, pictures {pictures:?}, prompts {prompts:?}");
}

/// A question that the dice choose: its kind, its pictures, its prompts.
fn question(dice: &mut Dice) -> (u32, Vec<u32>, Vec<u32>) {
    let mut some = |count| (0..=dice.below(2)).map(|_| dice.below(count)).collect::<Vec<_>>();
    let (pictures, prompts) = (some(PICTURES), some(PROMPTS));
    (dice.below(4), pictures, prompts)
}

#[test]
fn all_threads_get_the_answers_of_one_alone() {
    within(120, || {
        let expected = expected();
        // None, a few records but no embedding, an embedding or two, all.
        for cache_bytes in [0, 20_000, 10_000_000, PLENTY] {
            let (session, client) = (session(3, cache_bytes), client());
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (session, client, expected) = (&session, &client, &expected);
                    scope.spawn(move || {
                        let mut dice = Dice(thread + cache_bytes);
                        for _ in 0..4 {
                            let (kind, pictures, prompts) = question(&mut dice);
                            let found = answers(session, client, kind, &pictures, &prompts).unwrap();
                            check(expected, kind, &pictures, &prompts, &found);
                        }
                    });
                }
            });
            assert!(session.caches().held().bytes <= cache_bytes);
        }
    });
}

#[test]
fn what_the_cache_holds_is_computed_once_for_all_threads() {
    within(60, || {
        let (session, client) = (session(3, PLENTY), client());
        std::thread::scope(|scope| {
            for thread in 0..6 {
                let (session, client) = (&session, &client);
                scope.spawn(move || {
                    for step in 0..4 {
                        // Each in an order of its own.
                        let mut pictures = Vec::from_iter(0..PICTURES);
                        pictures.rotate_left((thread % PICTURES) as usize);
                        answers(session, client, (thread + step) % 4, &pictures, &[0, 1, 2]).unwrap();
                    }
                });
            }
        });
        let stats = session.stats();
        assert_eq!(stats.models_loaded.get(), 1);
        assert_eq!(
            (stats.images_decoded.get(), stats.inference.encodes.get()),
            (u64::from(PICTURES), u64::from(PICTURES))
        );
        // Predictions, records, and four points of each picture.
        assert_eq!(stats.inference.decodes.get(), u64::from(2 * PICTURES * PROMPTS + 4 * PICTURES));
    });
}

#[test]
fn a_cancelled_client_leaves_the_others_their_answers() {
    within(120, || {
        let expected = expected();
        let (session, hasty, patient) = (session(2, 10_000_000), client(), client());
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut dice = Dice(1);
                while !ended.load(Ordering::Relaxed) {
                    std::thread::sleep(std::time::Duration::from_millis(u64::from(dice.below(40))));
                    hasty.cancel();
                }
            });
            let asking: Vec<_> = (0..4)
                .map(|thread| {
                    let (session, expected) = (&session, &expected);
                    let client = if thread < 2 { &hasty } else { &patient };
                    scope.spawn(move || {
                        let mut dice = Dice(thread);
                        for _ in 0..6 {
                            let (kind, pictures, prompts) = question(&mut dice);
                            match answers(session, client, kind, &pictures, &prompts) {
                                Ok(found) => check(expected, kind, &pictures, &prompts, &found),
                                Err(failure) => assert_eq!((failure.kind(), thread < 2), (Kind::Cancelled, true)),
                            }
                        }
                    })
                })
                .collect();
            asking.into_iter().for_each(|thread| thread.join().unwrap());
            ended.store(true, Ordering::Relaxed);
        });
        // Nothing has stayed in flight.
        for kind in 0..4 {
            answers(&session, &patient, kind, &[0, 1, 2], &[0, 1, 2]).unwrap();
        }
    });
}

#[test]
fn models_and_threads_may_change_while_calls_run() {
    within(120, || {
        let expected = expected();
        let (session, client) = (session(2, PLENTY), client());
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut dice = Dice(2);
                while !ended.load(Ordering::Relaxed) {
                    let (threads, cache_bytes) =
                        (1 + dice.below(8) as usize, [0, 10_000_000, PLENTY][dice.below(3) as usize]);
                    let change = |settings: &mut Settings, _: &mut ClientSettings| {
                        (settings.threads, settings.cache_bytes) = (threads, cache_bytes);
                        Ok(())
                    };
                    session.configure(&client, change).unwrap();
                    session.unload("nano", Access::default()).unwrap();
                    session.list(Access::default());
                    std::thread::sleep(std::time::Duration::from_millis(u64::from(dice.below(60))));
                }
            });
            let asking: Vec<_> = (0..3)
                .map(|thread| {
                    let (session, client, expected) = (&session, &client, &expected);
                    scope.spawn(move || {
                        let mut dice = Dice(thread);
                        for _ in 0..5 {
                            let (kind, pictures, prompts) = question(&mut dice);
                            // A blob says of which model it is by content, so that it stays the same.
                            let found = answers(session, client, kind, &pictures, &prompts).unwrap();
                            check(expected, kind, &pictures, &prompts, &found);
                        }
                    })
                })
                .collect();
            asking.into_iter().for_each(|thread| thread.join().unwrap());
            ended.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_call_that_waits_for_another_can_be_cancelled() {
    within(30, || {
        let session = Arc::new(session(2, PLENTY));
        let (slow, waiting) = (client(), Arc::new(client()));
        let image = picture(0);
        let (started, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let query = {
            let (started, release) = (started.clone(), release.clone());
            Custom::new(1, move |_, _| {
                started.store(true, Ordering::SeqCst);
                while !release.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                Ok(7)
            })
        };
        std::thread::scope(|scope| {
            let first = scope.spawn(|| ask(&Call::new(&session, &slow, "slow"), &[(&image, query.clone())]));
            while !started.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            let second = scope.spawn(|| ask(&Call::new(&session, &waiting, "waits"), &[(&image, query.clone())]));
            while waiting.cancel() == 0 {
                std::thread::yield_now();
            }
            assert_eq!(second.join().unwrap().unwrap_err().kind(), Kind::Cancelled);
            release.store(true, Ordering::SeqCst);
            assert_eq!(first.join().unwrap(), Ok(vec![Some(7)]));
        });
        // What the first has computed is there for all.
        assert_eq!(ask(&Call::new(&session, &waiting, "again"), &[(&image, query)]), Ok(vec![Some(7)]));
    });
}
