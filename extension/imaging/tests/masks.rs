//! Masks as runs: combined, cleaned and outlined. `python/tests/test_masks.py` compares thousands of random masks with
//! pycocotools and Shapely; here are the cases that show the rules.

use sam_imaging::{Mask, Rle, wkb, wkt};

/// A mask from rows of text; `#` is foreground.
fn mask(rows: &[&str]) -> Rle {
    let rows: Vec<Vec<u8>> = rows.iter().map(|row| row.bytes().map(|byte| u8::from(byte == b'#')).collect()).collect();
    Rle::from_mask(&Mask::from_rows(&rows))
}

fn text(rle: &Rle) -> Vec<String> {
    let mask = rle.to_mask();
    let pixel = |x, y| if mask.get(x, y) { '#' } else { '.' };
    (0..mask.height()).map(|y| (0..mask.width()).map(|x| pixel(x, y)).collect()).collect()
}

#[test]
fn combines_pixel_by_pixel() {
    let (a, b) = (mask(&["##..", "##..", "...."]), mask(&[".##.", "....", "##.#"]));
    assert_eq!(text(&a.union(&b).unwrap()), ["###.", "##..", "##.#"]);
    assert_eq!(text(&a.intersect(&b).unwrap()), [".#..", "....", "...."]);
    assert_eq!(text(&a.difference(&b).unwrap()), ["#...", "##..", "...."]);
    // The result is as an encoder writes it, whatever runs of length zero the operands have.
    let odd = Rle::from_counts(3, 4, vec![0, 0, 3, 2, 0, 1, 6]).unwrap();
    assert_eq!(odd.union(&a).unwrap().counts, [0, 2, 1, 3, 6]);
    assert_eq!(a.union(&mask(&["####"])), None);
}

#[test]
fn empty_masks_combine() {
    for size in [(0, 0), (0, 3), (3, 0)] {
        let empty = Rle { height: size.0, width: size.1, counts: vec![0] };
        assert_eq!(empty.union(&empty).unwrap(), empty);
        assert_eq!(empty.clean(5), empty);
        assert_eq!(wkt(&empty.polygons(1.0)), "POLYGON EMPTY");
    }
}

#[test]
fn cleans_holes_first_and_then_islands() {
    let specks = mask(&["#####..", "#...#..", "#####.#"]);
    assert_eq!(text(&specks.clean(1)), text(&specks));
    // The hole and the background at the right, which has 5 pixels, are filled; then there is a single island.
    assert_eq!(text(&specks.clean(4)), ["#####..", "#####..", "#####.."]);
    assert_eq!(text(&specks.clean(6)), ["#######", "#######", "#######"]);
}

#[test]
fn pixels_that_share_a_corner_are_one_island_when_cleaned() {
    assert_eq!(text(&mask(&["#......", ".#....#", "......."]).clean(2)), ["#......", ".#.....", "......."]);
    // Of islands that are all too small the largest stays; of equal ones the first from the left.
    assert_eq!(text(&mask(&["#...##..", "........"]).clean(3)), ["....##..", "........"]);
    assert_eq!(text(&mask(&[".....#..", "..#.....", "........"]).clean(2)), ["........", "..#.....", "........"]);
    assert_eq!(text(&mask(&["...", "..."]).clean(100)), ["...", "..."]);
}

#[test]
fn outlines_one_pixel() {
    let polygons = mask(&["...", ".#."]).polygons(0.0);
    assert_eq!(wkt(&polygons), "POLYGON ((1 2, 1 1, 2 1, 2 2, 1 2))");
    let bytes = wkb(&polygons);
    assert_eq!(bytes.len(), 1 + 4 + 4 + 4 + 5 * 16);
    assert_eq!(bytes[..13], [1, 3, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0]);
    assert_eq!(bytes[13..29], [1f64.to_le_bytes(), 2f64.to_le_bytes()].concat());
}

#[test]
fn holes_run_the_other_way() {
    let polygons = mask(&["###", "#.#", "###"]).polygons(0.0);
    assert_eq!(wkt(&polygons), "POLYGON ((0 3, 0 0, 3 0, 3 3, 0 3), (1 1, 1 2, 2 2, 2 1, 1 1))");
}

#[test]
fn islands_that_share_a_corner_are_two_polygons() {
    let polygons = mask(&["#.", ".#"]).polygons(0.0);
    assert_eq!(wkt(&polygons), "MULTIPOLYGON (((0 1, 0 0, 1 0, 1 1, 0 1)), ((1 2, 1 1, 2 1, 2 2, 1 2)))");
}

#[test]
fn a_hole_that_reaches_the_outside_through_a_corner_is_a_ring_of_its_own() {
    // Followed without cutting, the outer ring would come through (2, 2) twice, which is not valid.
    let polygons = mask(&["###", "#.#", "##."]).polygons(0.0);
    assert_eq!(polygons.len(), 1);
    assert_eq!(polygons[0].holes, [[[2, 2], [2, 1], [1, 1], [1, 2]]]);
    assert_eq!(polygons[0].exterior, [[0, 3], [0, 0], [3, 0], [3, 2], [2, 2], [2, 3]]);
    // Two holes that share a corner.
    let polygons = mask(&["####", "#.##", "##.#", "####"]).polygons(0.0);
    assert_eq!((polygons.len(), polygons[0].holes.len()), (1, 2));
}

#[test]
fn simplifies_a_staircase_to_a_slope() {
    let stairs: Vec<String> = (1..=40).map(|length| "#".repeat(length) + &".".repeat(40 - length)).collect();
    let stairs = mask(&stairs.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(stairs.polygons(0.0)[0].exterior.len(), 2 + 2 * 40);
    assert!(stairs.polygons(0.8)[0].exterior.len() <= 5);
    // A corner of a unit square is 0.7 from its diagonal.
    assert_eq!(stairs.polygons(0.7), stairs.polygons(0.0));
}

#[test]
fn simplifying_keeps_rings_apart() {
    // Two islands that touch in two corners, with a pocket between them: both would become the same diagonal.
    let touching = mask(&["##.", "#.#", ".##"]);
    for tolerance in [1.0, 100.0] {
        let polygons = touching.polygons(tolerance);
        assert_eq!(polygons.len(), 2);
        let both = |point: &[i32; 2]| polygons.iter().all(|polygon| polygon.exterior.contains(point));
        assert!(both(&[1, 2]) && both(&[2, 1]));
    }
    // A tolerance beyond the picture leaves at least a triangle of each ring.
    let ring = mask(&["####", "#..#", "#..#", "####"]).polygons(1e6);
    assert!(ring[0].exterior.len() >= 3 && ring[0].holes[0].len() >= 3);
}

/// Masks on which an algorithm that is not nearly linear takes minutes. The bound is some twenty times what they take.
#[test]
fn large_masks_take_little_time() {
    let side = 1200;
    let made = |set: &dyn Fn(u32, u32) -> bool| {
        let pixels: Vec<u8> = (0..side * side).map(|at| u8::from(set(at % side, at / side))).collect();
        Rle::from_mask(&Mask::from_bytes(side, side, &pixels))
    };
    let noise = |x: u32, y: u32| (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)).wrapping_mul(2_654_435_761) >> 24;
    let masks = [
        ("checkerboard", made(&|x, y| (x + y) % 2 == 0)),
        ("noise", made(&|x, y| noise(x, y) < 100)),
        ("stripes down", made(&|x, _| x % 2 == 0)),
        ("stripes across", made(&|_, y| y % 2 == 0)),
        ("a comb", made(&|x, y| x % 2 == 0 || y == 0)),
        ("stairs", made(&|x, y| x + y < side)),
        ("a flat slope", made(&|x, y| x + 40 * y < 20 * side)),
        ("a disc", made(&|x, y| (2 * x).abs_diff(side).pow(2) + (2 * y).abs_diff(side).pow(2) < side * side)),
        ("holes", made(&|x, y| x % 3 > 0 || y % 3 > 0)),
    ];
    for (name, mask) in &masks {
        for tolerance in [0.0, 1.0, 5.0, 1000.0] {
            let start = std::time::Instant::now();
            let text = wkt(&mask.polygons(tolerance));
            println!("{name}, tolerance {tolerance}: {:?}, {} bytes", start.elapsed(), text.len());
            assert!(start.elapsed().as_secs() < 20, "{name}, tolerance {tolerance}: {:?}", start.elapsed());
        }
        let start = std::time::Instant::now();
        mask.clean(5);
        println!("{name}, cleaned: {:?}", start.elapsed());
        assert!(start.elapsed().as_secs() < 5, "{name}: {:?}", start.elapsed());
    }
    let many = (0..2000).map(|at| made_dot(side, at));
    let start = std::time::Instant::now();
    assert_eq!(Rle::union_all(many).unwrap().area(), 2000);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

/// A mask with one pixel.
fn made_dot(side: u32, at: u32) -> Rle {
    Rle::from_counts(side, side, vec![601 * at, 1, side * side - 601 * at - 1]).unwrap()
}
