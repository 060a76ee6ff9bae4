//! Jitter: moments that differ from one authorization to the next, and are the same for all its holders.

/// Numbers that are evenly distributed and follow from where they are used, so that every holder of an
/// authorization computes the same moment. They are not secret.
pub(crate) struct Jitter(u64);

impl Jitter {
    /// Makes the numbers of one use; `turn` tells the uses of one seed apart.
    pub(crate) fn new(seed: u64, turn: u64) -> Self {
        let mut jitter = Self(seed ^ turn.wrapping_mul(0xd134_2543_de82_ef95));
        jitter.next();
        jitter
    }

    /// Returns the next number from 0 up to, but not including, 1 (a step of SplitMix64).
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every version of this crate must compute the same moments, because holders of different versions share
    /// an authorization.
    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut jitter = Jitter(1_234_567);
        for bits in [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423_u64] {
            assert_eq!(jitter.next(), (bits >> 11) as f64 / 9_007_199_254_740_992.0);
        }
    }
}
