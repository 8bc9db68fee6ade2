//! Pages and parts of pictures have the values of these: type, bands, "no data".

use std::path::Path;

use sam_imaging::{Bands, Depth, Limits, Original, Rle, info, masks_of_labels, page, png_of_levels};
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, Gray32Float, Gray64, GrayI16, RGB8};
use tiff::tags::Tag;

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiff").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Size, channels and values.
type Values = ([u32; 2], usize, Vec<f32>);

/// Whether they are the same, NaN included.
fn same(a: &Values, b: &Values) -> bool {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    (a.0, a.1, bits(&a.2)) == (b.0, b.1, bits(&b.2))
}

fn values(bytes: &[u8]) -> Values {
    let bands = Bands::read(bytes, &Limits::default()).unwrap();
    let [width, height] = bands.size();
    let mut values = vec![0.0; width as usize * height as usize * bands.channels()];
    bands.write(None, &mut values);
    (bands.size(), bands.channels(), values)
}

/// One page whose values stand for "no data" where they are `no_data`.
fn tiff<C: ColorType>(size: [u32; 2], data: &[C::Inner], no_data: Option<&str>) -> Vec<u8>
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut file = TiffEncoder::new(&mut bytes).unwrap();
    let mut page = file.new_image::<C>(size[0], size[1]).unwrap();
    if let Some(text) = no_data {
        page.encoder().write_tag(Tag::GdalNodata, text).unwrap();
    }
    page.write_data(data).unwrap();
    bytes.into_inner()
}

#[test]
fn every_form_keeps_its_values() {
    let limits = Limits::default();
    for fields in include_str!("data/tiff/tiff.txt").lines() {
        let name = fields.split(' ').next().unwrap();
        // What is shown in another way than it is written, or is changed by its compression.
        let shown = ["cmyk", "ycbcr", "palette", "jpeg", "miniswhite"].iter().any(|part| name.contains(part));
        let bytes = read(name);
        let (size, channels, whole) = values(&bytes);
        let found = info(&bytes, &limits).unwrap();
        let premultiplied = name.contains("_associated");
        if shown && !name.starts_with("grey16") || premultiplied {
            continue;
        }
        let one = page(&bytes, 1, &limits).unwrap();
        assert!(same(&values(&one), &(size, channels, whole.clone())), "page of {name}");
        // float16 and samples of 10, 12 and 14 bits are held by the next larger type.
        let held = info(&one, &limits).unwrap().sample;
        assert!(held.numbers == found.sample.numbers && held.bits >= found.sample.bits, "{name}: {held}");
        let (corner, part_size) = ([1, 2], [size[0] - 2, size[1] - 3]);
        let part = Original::read(&bytes, &limits).unwrap().part(corner, part_size).unwrap();
        assert_eq!(info(&part, &limits).unwrap().format, "tiff", "{name}");
        let row = |y: u32| ((y * size[0] + corner[0]) as usize * channels, part_size[0] as usize * channels);
        let cut = (corner[1]..corner[1] + part_size[1]).flat_map(|y| whole[row(y).0..][..row(y).1].iter().copied());
        let cut: Vec<f32> = cut.collect();
        assert!(same(&values(&part), &(part_size, channels, cut)), "part of {name}");
    }
}

#[test]
fn many_bands_are_kept() {
    let limits = Limits::default();
    let bytes = read("eight_bands_planar16.tif");
    let (_, channels, _) = values(&bytes);
    assert_eq!(channels, 8);
    let one = page(&bytes, 1, &limits).unwrap();
    let found = info(&one, &limits).unwrap();
    assert_eq!((found.format, found.channels, found.sample.to_string()), ("tiff", 8, "uint16".to_string()));
    // What is shown of it is the same as well.
    assert_eq!(sam_imaging::decode(&one, &limits).unwrap(), sam_imaging::decode(&bytes, &limits).unwrap());
}

#[test]
fn a_part_of_a_png_of_16_bits_is_one() {
    let limits = Limits::default();
    for channels in 1..=4u8 {
        let levels: Vec<f64> = (0..6 * u32::from(channels)).map(|index| f64::from(index * 2700)).collect();
        let png = png_of_levels(&levels, [3, 2], channels, Depth::Sixteen, &limits).unwrap();
        let part = Original::read(&png, &limits).unwrap().part([1, 1], [9, 9]).unwrap();
        let kept: Vec<f32> = levels[4 * usize::from(channels)..].iter().map(|&level| level as f32).collect();
        assert_eq!(values(&part), ([2, 1], channels.into(), kept));
        let found = info(&part, &limits).unwrap();
        assert_eq!((found.format, found.sample.to_string()), ("png", "uint16".to_string()));
        assert_eq!(values(&page(&png, 1, &limits).unwrap()), values(&png));
    }
}

#[test]
fn no_data_is_left_out_and_kept() {
    let limits = Limits::default();
    let all = Rle::from_counts(1, 4, vec![0, 4]).unwrap();
    let check = |bytes: Vec<u8>, no_data: Option<f64>, counted: &[f64]| {
        let found = info(&bytes, &limits).unwrap();
        assert_eq!(format!("{:?}", found.no_data), format!("{no_data:?}"));
        let part = Original::read(&bytes, &limits).unwrap().part([0, 0], [4, 1]).unwrap();
        let one = page(&bytes, 1, &limits).unwrap();
        for bytes in [&bytes, &part, &one] {
            let stats = Bands::read(bytes, &limits).unwrap().stats(&all).unwrap().unwrap();
            let [count, sum] = [counted.len() as f64, counted.iter().sum()];
            assert_eq!([stats[0].count as f64, stats[0].sum], [count, sum], "{no_data:?}");
            assert_eq!(format!("{:?}", info(bytes, &limits).unwrap().no_data), format!("{no_data:?}"));
        }
    };
    let size = [4, 1];
    check(tiff::<Gray8>(size, &[0, 1, 0, 3], Some("0")), Some(0.0), &[1.0, 3.0]);
    check(tiff::<Gray8>(size, &[0, 1, 0, 3], Some("-9999")), Some(-9999.0), &[0.0, 1.0, 0.0, 3.0]);
    check(tiff::<Gray16>(size, &[65535, 1, 2, 3], Some("65535")), Some(65535.0), &[1.0, 2.0, 3.0]);
    check(tiff::<GrayI16>(size, &[-9999, 1, -2, 3], Some("-9999.0")), Some(-9999.0), &[1.0, -2.0, 3.0]);
    let lowest = "-3.4028234663852886e+38";
    check(
        tiff::<Gray32Float>(size, &[f32::MIN, 1.0, 2.5, -1e38], Some(lowest)),
        Some(f32::MIN.into()),
        &[1.0, 2.5, f64::from(-1e38f32)],
    );
    check(
        tiff::<Gray32Float>(size, &[f32::MIN, 1.0, 2.5, f32::NAN], Some("-3.402823466e+38")),
        Some(-3.402823466e38),
        &[1.0, 2.5],
    );
    check(tiff::<Gray32Float>(size, &[0.0, 1.0, f32::NAN, 4.0], Some("nan")), Some(f64::NAN), &[0.0, 1.0, 4.0]);
    let large = 1u64 << 60;
    check(
        tiff::<Gray64>(size, &[large, large + 1, 1, 2], Some("1152921504606846976")),
        Some(large as f64),
        &[large as f64, 1.0, 2.0],
    );
    check(tiff::<Gray8>(size, &[0, 1, 0, 3], None), None, &[0.0, 1.0, 0.0, 3.0]);
    check(tiff::<Gray8>(size, &[0, 1, 0, 3], Some("no number")), None, &[0.0, 1.0, 0.0, 3.0]);
}

#[test]
fn each_band_has_its_own_no_data() {
    let bytes = tiff::<RGB8>([2, 1], &[0, 7, 8, 1, 0, 9], Some("0"));
    let part = Original::read(&bytes, &Limits::default()).unwrap().part([0, 0], [2, 1]).unwrap();
    let stats = Bands::read(&part, &Limits::default()).unwrap();
    let stats = stats.stats(&Rle::from_counts(1, 2, vec![0, 2]).unwrap()).unwrap().unwrap();
    assert_eq!([0, 1, 2].map(|band| stats[band].count), [1, 1, 2]);
}

#[test]
fn no_data_is_not_stretched_and_no_object() {
    let limits = Limits::default();
    let shown = |bytes: &[u8]| -> Vec<u8> {
        sam_imaging::decode(bytes, &limits).unwrap().pixels().map(|pixel| pixel.0[0]).collect()
    };
    let size = [4, 1];
    assert_eq!(shown(&tiff::<GrayI16>(size, &[-9999, 0, 50, 100], Some("-9999"))), [0, 0, 128, 255]);
    assert_eq!(shown(&tiff::<Gray16>(size, &[65535, 0, 50, 100], Some("65535"))), [0, 0, 128, 255]);
    assert_eq!(shown(&tiff::<GrayI16>(size, &[0, -100, 0, 100], Some("0"))), [0, 0, 0, 255]);
    assert_eq!(shown(&tiff::<Gray32Float>(size, &[1e38, 0.0, 50.0, 100.0], Some("1e38"))), [0, 0, 128, 255]);
    let labels = tiff::<GrayI16>(size, &[-1, 2, 2, 0], Some("-1"));
    let found: Vec<i64> = masks_of_labels(&labels, &limits).unwrap().iter().map(|(label, _)| *label).collect();
    assert_eq!(found, [2]);
}
