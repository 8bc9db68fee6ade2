//! Where a picture lies on the earth, by the tags of GeoTIFF (OGC 19-008r4).

use super::directory::{Directory, Values};
use super::{layout, open};
use crate::decode::guarded;
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::transform::Transform;

const PIXEL_SCALE: u16 = 33550;
const TIE_POINTS: u16 = 33922;
const TRANSFORMATION: u16 = 34264;
const KEYS: u16 = 34735;
const TEXTS: u16 = 34737;

/// The keys that are read, by their numbers in the standard.
mod key {
    /// What the coordinates are: projected, geographic, geocentric.
    pub const MODEL: u16 = 1024;
    /// What the tie point is tied to: the corner of a pixel, or its centre.
    pub const RASTER: u16 = 1025;
    /// Names of reference systems, the whole one first.
    pub const CITATIONS: [u16; 3] = [1026, 3073, 2049];
    /// The EPSG code of longitude and latitude.
    pub const GEODETIC: u16 = 2048;
    /// The EPSG code of coordinates in a plane.
    pub const PROJECTED: u16 = 3072;
}

/// Codes that are EPSG's; 32767 stands for a system that the file describes itself.
const EPSG: std::ops::RangeInclusive<u64> = 1024..=32766;

/// Where a picture lies on the earth.
#[derive(Clone, Debug, PartialEq)]
pub struct Geo {
    /// From corners of pixels of the upright picture to coordinates. `None` if only single points are known.
    pub transform: Option<Transform>,
    /// The EPSG code of the reference system. `None` where the file names none, or describes its own.
    pub epsg: Option<u16>,
    /// What the file calls its reference system.
    pub citation: Option<String>,
}

/// Reads where a picture lies on the earth from the header of its first page, whatever its size; `None` for a picture that
/// does not tell. As GDAL does: heights are left out, and the pixel scale precedes a transformation.
///
/// # Errors
/// As [`crate::info_of_any_size`].
pub fn geo(bytes: &[u8]) -> Result<Option<Geo>, ImageError> {
    guarded(bytes, &Limits::none(), |format| if format == Format::Tiff { of_first_page(bytes) } else { Ok(None) })
}

fn of_first_page(bytes: &[u8]) -> Result<Option<Geo>, ImageError> {
    let (_, directory) = open(bytes, 1)?;
    let head = layout::head(&directory)?;
    let keys = Keys::of(&directory);
    let transform = transform(&directory, keys.number(key::RASTER) == Some(2));
    let geo = Geo {
        transform: transform.map(|transform| transform.of_upright([head.width, head.height], head.orientation)),
        epsg: keys.epsg(),
        citation: key::CITATIONS.into_iter().find_map(|key| keys.text(key)),
    };
    let is_told = geo.transform.is_some() || geo.epsg.is_some() || geo.citation.is_some();
    Ok(is_told.then_some(geo))
}

/// The transform of the picture as it is stored. `of_centres`: that of the file is one of the centres of pixels.
fn transform(directory: &Directory<'_>, of_centres: bool) -> Option<Transform> {
    let numbers = |tag, least| doubles(directory.values(tag)?, least);
    let scale = numbers(PIXEL_SCALE, 2).filter(|scale| scale[0] != 0.0 && scale[1] != 0.0);
    let [a, b, c, d, e, f] = if let Some(scale) = scale {
        let tie = numbers(TIE_POINTS, 6)?;
        // North is up, whatever the sign.
        let (a, e) = (scale[0], -scale[1].abs());
        [a, 0.0, tie[3] - tie[0] * a, 0.0, e, tie[4] - tie[1] * e]
    } else {
        let matrix = numbers(TRANSFORMATION, 16)?;
        [matrix[0], matrix[1], matrix[3], matrix[4], matrix[5], matrix[7]]
    };
    let half = if of_centres { 0.5 } else { 0.0 };
    Transform::new([a, b, c - half * (a + b), d, e, f - half * (d + e)]).ok()
}

/// The values of a tag, if there are so many.
fn doubles(values: Values<'_>, least: usize) -> Option<Vec<f64>> {
    (0..least).map(|index| values.double(index)).collect()
}

/// The directory of keys: four numbers for the whole, then four for each key: its number, the tag of its value or 0 for the
/// number itself, how many values, and where they begin.
struct Keys<'a> {
    numbers: Option<Values<'a>>,
    texts: &'a [u8],
}

impl<'a> Keys<'a> {
    fn of(directory: &Directory<'a>) -> Self {
        let texts = directory.values(TEXTS).map_or(&[][..], |values| values.bytes());
        Self { numbers: directory.values(KEYS), texts }
    }

    /// Where the value of a key is: tag, count and place.
    fn entry(&self, wanted: u16) -> Option<[u64; 3]> {
        let numbers = self.numbers.as_ref()?;
        let count = numbers.get(3)?.min(numbers.len() as u64 / 4) as usize;
        (1..=count).find(|entry| numbers.get(entry * 4) == Some(wanted.into())).and_then(|entry| {
            let [tag, count, place] = [1, 2, 3].map(|at| numbers.get(entry * 4 + at));
            Some([tag?, count?, place?])
        })
    }

    fn number(&self, key: u16) -> Option<u64> {
        self.entry(key).filter(|[tag, ..]| *tag == 0).map(|[.., value]| value)
    }

    fn text(&self, key: u16) -> Option<String> {
        let [tag, count, place] = self.entry(key)?;
        let start = usize::try_from(place).ok().filter(|_| tag == u64::from(TEXTS))?;
        let bytes = self.texts.get(start..start.checked_add(usize::try_from(count).ok()?)?)?;
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end_matches(['|', '\0', ' ']);
        (!text.is_empty()).then(|| text.to_string())
    }

    /// The code of the system that the coordinates are in. That beneath a projection of the file's own is another.
    fn epsg(&self) -> Option<u16> {
        const PROJECTED: u64 = 1;
        let code = match (self.number(key::PROJECTED), self.number(key::MODEL)) {
            (None, Some(PROJECTED)) => None,
            (None, _) => self.number(key::GEODETIC),
            (projected, _) => projected,
        };
        code.filter(|code| EPSG.contains(code)).map(|code| code as u16)
    }
}
