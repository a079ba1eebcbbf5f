//! Half floats (IEEE 754 binary16) as floats and back, exactly: a NaN keeps its bits, which a
//! conversion in hardware would change.

/// Bits of the fraction that a float has beyond a half float.
const EXTRA_BITS: u32 = 23 - 10;
/// What the biases of the exponents differ by.
const BIAS: u32 = 127 - 15;

/// The float of the same value.
pub(super) fn widened(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10) & 0x1f;
    let fraction = u32::from(half & 0x3ff);
    let magnitude = match (exponent, fraction) {
        (0, 0) => 0,
        (0, _) => {
            // A subnormal half float is a normal float: its first bit becomes the hidden one.
            let shift = fraction.leading_zeros() - 21;
            let fraction = (fraction << shift) & 0x3ff;
            (BIAS + 1 - shift) << 23 | fraction << EXTRA_BITS
        }
        (0x1f, _) => 0xff << 23 | fraction << EXTRA_BITS,
        _ => (exponent + BIAS) << 23 | fraction << EXTRA_BITS,
    };
    f32::from_bits(sign | magnitude)
}

/// The half float that [`widened`] makes this of, if there is one.
pub(super) fn narrowed(float: f32) -> Option<u16> {
    let bits = float.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let exponent = bits >> 23 & 0xff;
    let fraction = (bits >> EXTRA_BITS) as u16 & 0x3ff;
    let magnitude = match exponent {
        0xff => 0x1f << 10 | fraction,
        // Of a subnormal, as many bits as its exponent leaves.
        103..=112 => (0x400 | fraction) >> (113 - exponent),
        113..=142 => ((exponent - BIAS) as u16) << 10 | fraction,
        _ => 0,
    };
    let half = sign | magnitude;
    (widened(half).to_bits() == bits).then_some(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_float_is_itself_again_and_of_the_right_value() {
        for half in 0..=u16::MAX {
            let wide = widened(half);
            assert_eq!(narrowed(wide), Some(half), "{half:#x}");
            let (exponent, fraction) = (i32::from(half >> 10 & 0x1f), f64::from(half & 0x3ff));
            let magnitude = match exponent {
                0 => fraction * 2_f64.powi(-24),
                0x1f => continue,
                _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
            };
            let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
            assert_eq!(f64::from(wide).to_bits(), (sign * magnitude).to_bits());
        }
        assert_eq!(widened(0x7c00), f32::INFINITY);
        assert!(widened(0x7c01).is_nan());
    }

    #[test]
    fn a_float_that_no_half_float_is_stays_one() {
        for float in [
            0.1,
            65_520.0,
            1e-8,
            1.000_1,
            1e30,
            -1e-30,
            5.96e-8,
            f32::MIN_POSITIVE,
        ] {
            assert_eq!(narrowed(float), None, "{float}");
        }
        assert_eq!(narrowed(f32::from_bits(0x7f80_0001)), None);
        assert_eq!(narrowed(f32::from_bits(1)), None);
    }
}
