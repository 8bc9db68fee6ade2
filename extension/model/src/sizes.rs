//! Checks of the sizes that a network states or its shapes tell. What passes, and has tensors of these sizes, runs: the
//! kernels have no limits of their own beyond these.

/// Widest layer: what no published model comes near.
const MAX_WIDTH: usize = 1 << 16;

/// Widest window in tokens. One of 256 x 256 has 65,536 keys for each query.
const MAX_WINDOW: usize = 256;

/// Nothing, or what is wrong with a size.
pub(crate) type Checked = Result<(), String>;

/// Fails with `what` unless it `holds`.
pub(crate) fn require(holds: bool, what: impl Into<String>) -> Checked {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Whether `divisor` divides `value`; neither may be 0.
pub(crate) fn divides(divisor: usize, value: usize) -> bool {
    divisor > 0 && value > 0 && value.is_multiple_of(divisor)
}

/// Checks the channels of a layer.
pub(crate) fn width(width: usize, whose: &str) -> Checked {
    let what = format!("{whose} has {width} channels, and 1 to {MAX_WIDTH} are supported");
    require((1..=MAX_WIDTH).contains(&width), what)
}

/// Checks the side of an attention's window, in tokens.
pub(crate) fn window(side: usize) -> Checked {
    let what = format!("a window is {side} tokens wide, and 1 to {MAX_WINDOW} are supported");
    require((1..=MAX_WINDOW).contains(&side), what)
}
