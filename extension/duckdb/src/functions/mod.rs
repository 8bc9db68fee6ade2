//! The SQL surface.

mod about;
mod annotate;
mod arguments;
mod dense;
mod image;

mod models;
mod segment;
mod sigmoid;

use crate::engine::Registry;
use crate::failure::Result;
use crate::session::Session;

/// Registers every function.
pub fn register(registry: &Registry) -> Result<()> {
    // Unusable settings are better reported by LOAD than by the first query.
    Session::get()?;
    registry.scalar(&segment::SEGMENT)?;
    registry.scalar(&annotate::ANNOTATE)?;
    registry.scalar(&models::MODEL_INFO)?;
    registry.scalar(&image::IMAGE_INFO)?;
    registry.scalar(&about::VERSION)?;
    registry.table(&models::MODELS)?;
    registry.table(&about::STATS)
}
