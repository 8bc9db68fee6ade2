//! Arithmetic on slices for Segment Anything networks.
