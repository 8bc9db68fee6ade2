//! The families of networks. A family is a folder, and a line in [`FAMILIES`]:
//!
//! - `mod.rs`: what it tells of itself ([`Family`]): its name, how its files are recognised, what their shapes tell;
//! - `config.rs`: the sizes of its image encoder ([`Encoder`]), and which of them can be run;
//! - `graph.rs`: the encoder's definition in candle's operations;
//! - `plan.rs`: the encoder's steps on the CPU.
//!
//! Its decoder is SAM's (`crate::decoder::Sam`), or one that it brings.

mod definition;
mod encoder;
mod tiny_vit;
mod vit;

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::Result;
use crate::shapes::Shapes;
pub(crate) use definition::{Family, Fields};
pub(crate) use encoder::{Encoder, EncoderConfig};

/// All families, in the order in which files are tried.
static FAMILIES: &[&dyn Family] = &[&tiny_vit::Family, &vit::Family];

/// The network of a checkpoint that carries no `config`.
///
/// # Errors
/// An architecture error: a missing tensor, or what cannot be told and how to state it.
pub(crate) fn guess(checkpoint: &Checkpoint) -> Result<Config> {
    let shapes = Shapes(checkpoint);
    let Some(family) = FAMILIES.iter().find(|family| family.recognises(&shapes)) else {
        let titles: Vec<_> = FAMILIES.iter().map(|family| family.title()).collect();
        return Err(checkpoint.architecture_error(format!("its image encoder is neither {}", titles.join(" nor "))));
    };
    let mut config = family.guess(&shapes)?;
    config.license = checkpoint.metadata("license").map(str::to_owned);
    Ok(config)
}

/// Whether a key of a `config`'s `image_encoder` means something in any family.
pub(crate) fn is_key(key: &str) -> bool {
    key == TYPE || FAMILIES.iter().any(|family| family.keys().contains(&key))
}

/// Whether a tensor is one that inference does not use, by what a family knows.
pub(crate) fn is_unused(name: &str) -> bool {
    FAMILIES.iter().any(|family| family.is_unused(name))
}

/// The key of a `config`'s `image_encoder` that names the family.
const TYPE: &str = "type";

/// An `image_encoder` with its family in `type`, as serde reads an internally tagged enum.
impl<'de> Deserialize<'de> for EncoderConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let (family, fields) = deserializer.deserialize_any(Tagged)?;
        family.read(fields).map_err(D::Error::custom)
    }
}

/// The same the other way round.
impl Serialize for EncoderConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut fields = self.fields().map_err(S::Error::custom)?;
        fields[TYPE] = self.family().into();
        fields.serialize(serializer)
    }
}

/// Reads an object, of which [`TYPE`] names a family.
struct Tagged;

impl<'de> Visitor<'de> for Tagged {
    type Value = (&'static dyn Family, Fields);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("internally tagged enum EncoderConfig")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let (mut family, mut fields) = (None, Fields::new());
        while let Some(key) = map.next_key::<String>()? {
            if key != TYPE {
                fields.push((key, map.next_value()?));
            } else if family.is_some() {
                return Err(A::Error::duplicate_field(TYPE));
            } else {
                family = Some(map.next_value_seed(Name)?);
            }
        }
        Ok((family.ok_or_else(|| A::Error::missing_field(TYPE))?, fields))
    }
}

/// Reads the name of a family.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = &'static dyn Family;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = &'static dyn Family;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("variant identifier")
    }

    fn visit_str<E: Error>(self, name: &str) -> std::result::Result<Self::Value, E> {
        FAMILIES.iter().find(|family| family.name() == name).copied().ok_or_else(|| {
            let names: Vec<_> = FAMILIES.iter().map(|family| format!("`{}`", family.name())).collect();
            let known = if names.len() == 2 { names.join(" or ") } else { format!("one of {}", names.join(", ")) };
            E::custom(format!("unknown variant `{name}`, expected {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same as serde's derive would read it.
    mod derived {
        use serde::Deserialize;

        #[derive(Debug, Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        #[allow(dead_code)]
        pub(super) enum EncoderConfig {
            TinyVit(TinyVit),
            Vit(Vit),
        }

        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        pub(super) struct TinyVit {
            img_size: usize,
            embed_dims: Vec<usize>,
        }

        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        pub(super) struct Vit {
            img_size: usize,
            patch_size: usize,
            embed_dim: usize,
            num_heads: usize,
            mlp_dim: usize,
            windows: Vec<Option<usize>>,
            out_chans: usize,
        }
    }

    #[test]
    fn reads_and_refuses_as_a_tagged_enum() {
        let read = |text: &str| serde_json::from_str::<EncoderConfig>(text).map_err(|error| error.to_string());
        let vit = r#"{"img_size": 64, "patch_size": 16, "embed_dim": 32, "type": "vit", "num_heads": 2, "mlp_dim": 64,
            "windows": [3, null], "out_chans": 32, "unread": {}}"#;
        let encoder = read(vit).unwrap();
        assert_eq!((encoder.family(), encoder.img_size(), encoder.maps()), ("vit", 64, vec![[32, 4, 4]]));
        assert_eq!(encoder, read(vit).unwrap());
        assert_ne!(encoder, read(&vit.replace("[3,", "[2,")).unwrap());
        serde_json::from_str::<derived::EncoderConfig>(vit).unwrap();
        for text in [
            "{}",
            r#"{"type": "vit", "type": "vit"}"#,
            r#"{"type": "vit", "img_size": 1, "img_size": 1}"#,
            r#"{"type": "vit", "img_size": "64"}"#,
            r#"{"type": "vit", "img_size": -1}"#,
            r#"{"type": "vit", "img_size": 1.5}"#,
            r#"{"type": "vit"}"#,
            r#"{"img_size": 64, "type": "tiny_vit"}"#,
            r#"{"img_size": 64, "embed_dims": [4, null], "type": "tiny_vit"}"#,
            "5",
        ] {
            let expected = serde_json::from_str::<derived::EncoderConfig>(text).unwrap_err().to_string();
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
        for text in [r#"{"type": "hiera"}"#, r#"{"type": "hiera", "img_size": 1}"#] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with("unknown variant `hiera`, expected "), "{error}");
            assert!(FAMILIES.iter().all(|family| error.contains(&format!("`{}`", family.name()))), "{error}");
        }
    }
}
