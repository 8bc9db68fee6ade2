//! Random damage to good files.

/// xorshift64* (Vigna 2016): the same numbers on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Zero is the one state that never changes; the odd constant spreads small seeds.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit.max(1)
    }
}

/// Numbers at which readers go wrong.
const EDGES: [u64; 14] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, u64::MAX];

/// One of `seeds` with one to eight pieces of damage, half of them near its beginning, where headers are.
pub fn damage(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(8) {
        let length = bytes.len();
        let near = if random.below(2) == 0 { length.min(512) } else { length };
        let at = random.below(near);
        let span = random.below(64).min(length - at);
        match random.below(9) {
            _ if bytes.is_empty() => bytes.push(random.next() as u8),
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 | 3 => {
                let edge = EDGES[random.below(EDGES.len())];
                let width = [1, 2, 4, 8][random.below(4)].min(length - at);
                let number =
                    if random.below(2) == 0 { edge.to_le_bytes() } else { (edge << (64 - 8 * width)).to_be_bytes() };
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..at + span)),
            6 => {
                let copy = bytes[at..at + span].to_vec();
                let to = random.below(length);
                bytes.splice(to..to, copy);
            }
            7 => bytes[at..at + span].fill(0),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let end = other.len().min(from + random.below(512));
                bytes.splice(at..at + span, other[from..end].iter().copied());
            }
        }
    }
    bytes
}
