//! All objects in the photographs of a folder, on all cores, without a database:
//! `cargo run --release -p sam-runtime --example segment_folder -- photos [model]`

use sam_runtime::{Batch, Call, Client, ClientSettings, Generate, OnError, Request, Session, Settings};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("give a folder of photographs, and a model if not nano")?);
    let model = arguments.next().unwrap_or_else(|| "nano".into());

    let session = Session::new(Settings::default());
    let client = Client::new(ClientSettings { on_error: OnError::Skip, ..ClientSettings::default() });
    let mut paths = folder.read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();

    // So many files are in memory at the same time.
    for paths in paths.chunks(32) {
        let images = paths.iter().map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
        let call = Call::new(&session, &client, "segment_folder");
        let requests = images.iter().map(|image| Some(Request { model: &model, image, prompt: () })).collect();
        let batch = Batch::new(&call, requests, |(), model| Ok(Generate(model.generate_options())))?;
        for (path, found) in paths.iter().zip(batch.answers()?) {
            let areas = found.iter().flat_map(|found| &found.records).map(|record| record.rle.area());
            println!("{}: areas {:?}", path.display(), areas.collect::<Vec<_>>());
        }
    }
    client.errors().latest().iter().for_each(|error| eprintln!("skipped: {}", error.failure));
    println!("{:?}", session.stats().snapshot());
    Ok(())
}
