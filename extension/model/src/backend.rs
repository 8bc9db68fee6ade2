//! What runs a network on a device, in batches of pictures and of prompts, and what passes between its two halves.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use once_cell::race::OnceBox;
use sam_imaging::RgbImage;

use crate::error::Result;
use crate::precision::Precision;
use crate::threads::Threads;

/// A network that is ready to run on one device. `Plan` is the CPU's; `Graph` runs on any device of candle's.
pub(crate) trait Backend: Send + Sync {
    /// What the image encoder makes of each picture. Pictures are resized to the network's input already, but neither
    /// normalised nor padded.
    ///
    /// # Errors
    /// A failure of the tensor library.
    fn encode(&self, images: &[RgbImage], threads: Threads) -> Result<Vec<Features>>;

    /// The masks that answer each query on one picture. Those whose predicted IoU is not above `least` are left out, and
    /// not computed.
    ///
    /// # Errors
    /// A failure of the tensor library.
    fn decode(
        &self,
        features: &Features,
        queries: &[Query],
        least: Option<f32>,
        threads: Threads,
    ) -> Result<Vec<Masks>>;

    /// How many prompts to hand over at once where there are many: what keeps the device busy, and no more, because nothing
    /// stops a batch that has begun.
    fn prompts_at_once(&self) -> usize;

    /// What the matrix products of the image encoder are computed in.
    fn precision(&self) -> Precision;
}

/// A prompt as the decoder takes it.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// (x, y) in 0..1 of the padded input.
    pub(crate) coords: Vec<[f32; 2]>,
    /// One for each: -1 is padding, 0 background, 1 foreground, 2 and 3 are corners of a box.
    pub(crate) labels: Vec<i8>,
    /// The masks that are wanted, of those that the decoder can give.
    pub(crate) wanted: Range<usize>,
}

/// The masks of one query, at low resolution.
#[derive(Debug)]
pub(crate) struct Masks {
    /// (masks, mask size, mask size)
    pub(crate) logits: Vec<f32>,
    /// Predicted IoU of each mask.
    pub(crate) iou: Vec<f32>,
}

/// What an image encoder makes of a picture: the image embedding, then further maps where a family's decoder wants them.
/// They stay on the device where they were made. A clone copies nothing.
#[derive(Debug, Clone)]
pub(crate) struct Features(Arc<[Map]>);

/// One map of features, (rows * columns, channels).
#[derive(Debug)]
pub(crate) struct Map {
    /// Channels, rows, columns.
    shape: [usize; 3],
    place: Place,
}

/// Where the values of a map are.
#[derive(Debug)]
enum Place {
    Host(Vec<f32>),
    /// With a copy on the host from the first look at it. Not behind a lock: a forked child might find it taken for ever.
    Device(Tensor, OnceBox<Vec<f32>>),
}

impl Features {
    pub(crate) fn new(maps: Vec<Map>) -> Self {
        Self(maps.into())
    }

    /// All maps, the image embedding first.
    pub(crate) fn maps(&self) -> &[Map] {
        &self.0
    }

    /// Channels, rows and columns of all maps.
    pub(crate) fn shapes(&self) -> Vec<[usize; 3]> {
        self.0.iter().map(Map::shape).collect()
    }

    /// Bytes held, copies on the host included.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(Map::bytes).sum()
    }

    /// Whether all values are numbers.
    ///
    /// # Errors
    /// A failure of the device.
    pub(crate) fn is_finite(&self) -> Result<bool> {
        for map in self.maps() {
            if !map.is_finite()? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Map {
    /// A map of this shape, (channels, rows, columns), on the host.
    pub(crate) fn on_host(shape: [usize; 3], values: Vec<f32>) -> Self {
        Self { shape, place: Place::Host(values) }
    }

    /// A map on a device: (1, channels, rows, columns), as convolutions leave it.
    ///
    /// # Errors
    /// Another shape, or a failure of the device.
    pub(crate) fn on_device(planes: &Tensor) -> Result<Self> {
        let (_, channels, rows, columns) = planes.dims4()?;
        let tensor = planes.flatten_from(2)?.squeeze(0)?.t()?.contiguous()?;
        Ok(Self { shape: [channels, rows, columns], place: Place::Device(tensor, OnceBox::new()) })
    }

    /// Channels, rows, columns.
    pub(crate) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The values on the host; of a map on a device a copy, made once.
    ///
    /// # Errors
    /// A failure of the device.
    pub(crate) fn values(&self) -> Result<&[f32]> {
        match &self.place {
            Place::Host(values) => Ok(values),
            Place::Device(tensor, copy) => {
                Ok(copy.get_or_try_init(|| tensor.flatten_all()?.to_vec1().map(Box::new))?.as_slice())
            }
        }
    }

    /// The values on `device`, where they may be already: (rows * columns, channels).
    ///
    /// # Errors
    /// A failure of the device.
    pub(crate) fn tensor(&self, device: &Device) -> Result<Tensor> {
        let [channels, rows, columns] = self.shape;
        match &self.place {
            Place::Host(values) => Ok(Tensor::from_slice(values, (rows * columns, channels), device)?),
            Place::Device(tensor, _) => Ok(tensor.to_device(device)?),
        }
    }

    fn bytes(&self) -> usize {
        let values = match &self.place {
            Place::Host(values) => values.capacity(),
            Place::Device(tensor, copy) => tensor.elem_count() + copy.get().map_or(0, Vec::capacity),
        };
        size_of::<Self>() + values * size_of::<f32>()
    }

    fn is_finite(&self) -> Result<bool> {
        match &self.place {
            Place::Host(values) => Ok(is_finite(values)),
            // Zero times what is no number is none, and so is a sum with it: one value leaves the device.
            Place::Device(tensor, _) => Ok(tensor.affine(0.0, 0.0)?.sum_all()?.to_scalar::<f32>()?.is_finite()),
        }
    }
}

/// Whether all values are numbers.
pub(crate) fn is_finite(values: &[f32]) -> bool {
    // The maximum of the bits is one instruction for many values.
    let largest = values.iter().fold(0, |largest, value| largest.max(value.to_bits() & 0x7fff_ffff));
    largest < f32::INFINITY.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Channels first on the device, channels last in the map, and the same values wherever they are looked at.
    #[test]
    fn maps_are_the_same_on_host_and_device() {
        let planes = Tensor::new(&[[[[1f32, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]], &Device::Cpu).unwrap();
        let device = Map::on_device(&planes).unwrap();
        let host = Map::on_host([2, 1, 3], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(device.shape(), host.shape());
        let before = device.bytes();
        assert_eq!(device.values().unwrap(), host.values().unwrap());
        assert!(device.bytes() > before, "the copy counts");
        let tensors = [&device, &host].map(|map| map.tensor(&Device::Cpu).unwrap().to_vec2::<f32>().unwrap());
        assert_eq!(tensors[0], tensors[1]);
    }

    #[test]
    fn what_is_no_number_is_seen_wherever_it_is() {
        for (value, finite) in [(1.0, true), (f32::MAX, true), (f32::INFINITY, false), (f32::NAN, false)] {
            let planes = Tensor::new(&[[[[0f32, value, -f32::MAX]]]], &Device::Cpu).unwrap();
            let maps = [Map::on_device(&planes).unwrap(), Map::on_host([1, 1, 3], vec![0.0, value, -f32::MAX])];
            for map in maps {
                assert_eq!(Features::new(vec![map]).is_finite().unwrap(), finite, "{value}");
            }
        }
    }
}
