//! Segmentation of many images for many callers: the machinery between a model and whatever asks for masks.
//!
//! A [`Session`] holds models, caches, threads and counters. A [`Client`] of it has settings, errors and running calls
//! of its own. A [`Call`] brings rows, and a [`Batch`] answers them, grouped by image and query. Answers come from the
//! caches where possible, are in flight once, and use all cores; errors come in the order of rows.
//!
//! Nothing here knows who asks: a database, a server, a script. A host words failures for its users ([`Failure`]), and may
//! make [`ReserveAllocator`] its allocator.
//!
//! ```
//! use sam_model::Prompt;
//! use sam_runtime::{Annotate, Batch, Call, Client, ClientSettings, Request, Session, Settings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::new(Settings::default());
//! let client = Client::new(ClientSettings::default());
//! # let mut image = std::io::Cursor::new(Vec::new());
//! # image::RgbImage::from_fn(40, 30, |x, _| image::Rgb([x as u8 * 5; 3])).write_to(&mut image, image::ImageFormat::Png)?;
//! # let images = vec![image.into_inner(); 3];
//! let call = Call::new(&session, &client, "example");
//! let point = Prompt::point(0.5, 0.5)?;
//! let request = |image| Some(Request { model: "nano", image, prompt: point.clone() });
//! let requests = images.iter().map(|image: &Vec<u8>| request(image.as_slice())).collect();
//! let batch = Batch::new(&call, requests, |point, _| Ok(Annotate(point)))?;
//! for record in batch.answers()?.into_iter().flatten() {
//!     println!("{} pixels, predicted IoU {}", record.rle.area(), record.predicted_iou);
//! }
//! // Three equal images were encoded once.
//! assert_eq!(session.stats().inference.encodes.get(), 1);
//! // Other threads can cancel what runs.
//! assert_eq!(client.cancel(), 1);
//! assert_eq!(call.check().unwrap_err().kind(), sam_runtime::Kind::Cancelled);
//! # Ok(())
//! # }
//! ```
//!
//! The rooms, from the bottom up: `failure`, `settings`, `reserve`, `published`, `pool`, `stats`, `record`; [`cache`];
//! `models` with `resolve` and `once_map`; `client`; `session`; `call`; `batch`.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod batch;
pub mod cache;
mod call;
mod client;
mod dense;
mod errors;
mod failure;
mod models;
mod once_map;
mod pool;
#[allow(unsafe_code)]
mod published;
mod record;
#[allow(unsafe_code)]
mod reserve;
mod resolve;
mod session;
mod settings;
mod stats;

pub use batch::{Annotate, Batch, Embed, Generate, Image, Query, Request, Segment};
pub use call::Call;
pub use client::Client;
pub use dense::write_probabilities;
pub use errors::{Entry, ErrorLog};
pub use failure::{Failure, ImageLimit, Kind, LimitSource, Remedy, Result, Results};
pub use models::{Listing, Loaded};
pub use pool::Pool;
pub use record::{Generated, Place, Record};
pub use reserve::ReserveAllocator;
pub use resolve::{BUILT_IN, expand_home};
pub use session::{Access, Session, set_up};
pub use settings::{ClientSettings, MAX_THREADS, OnError, ResultLimit, Settings};
pub use stats::{Counter, Inference, Stats, Timer};
