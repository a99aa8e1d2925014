//! Whether two values without parts are the same.

use tandem_transcode::view::Value;

use super::rules::Tolerance;

/// Whether two scalars of one field agree (compare J-5).
pub(super) fn agree(one: &Value<'_>, other: &Value<'_>, tolerance: Option<Tolerance>) -> bool {
    match (one, other) {
        (Value::Double(one), Value::Double(other)) => doubles(*one, *other, tolerance),
        (Value::Float(one), Value::Float(other)) => floats(*one, *other, tolerance),
        (Value::Signed(one), Value::Signed(other)) => {
            one == other || within(one.abs_diff(*other), tolerance)
        }
        (Value::Unsigned(one), Value::Unsigned(other)) => {
            one == other || within(one.abs_diff(*other), tolerance)
        }
        (one, other) => one == other,
    }
}

/// Whether a scalar is what an unset field without presence means. −0 is no default on the wire,
/// and means the same.
pub(super) fn is_default(value: &Value<'_>, default: &Value<'_>) -> bool {
    agree(value, default, None)
}

fn within(distance: u64, tolerance: Option<Tolerance>) -> bool {
    tolerance.is_some_and(|tolerance| distance as f64 <= tolerance.absolute)
}

#[expect(clippy::float_cmp, reason = "exact by default: −0 is 0, everything else bit by bit")]
fn doubles(one: f64, other: f64, tolerance: Option<Tolerance>) -> bool {
    if one == other || (one.is_nan() && other.is_nan()) {
        return true;
    }
    let Some(tolerance) = tolerance else { return false };
    if !one.is_finite() || !other.is_finite() {
        return false;
    }
    (one - other).abs() <= tolerance.absolute || place(one).abs_diff(place(other)) <= tolerance.ulps
}

#[expect(clippy::float_cmp, reason = "as above")]
fn floats(one: f32, other: f32, tolerance: Option<Tolerance>) -> bool {
    if one == other || (one.is_nan() && other.is_nan()) {
        return true;
    }
    let Some(tolerance) = tolerance else { return false };
    if !one.is_finite() || !other.is_finite() {
        return false;
    }
    let place = |number: f32| {
        let bits = i64::from(number.to_bits() as i32);
        if bits < 0 { i64::from(i32::MIN) - bits } else { bits }
    };
    f64::from((one - other).abs()) <= tolerance.absolute
        || place(one).abs_diff(place(other)) <= tolerance.ulps
}

/// The place of a float among all floats: neighbours differ by one, and both zeros are 0.
fn place(number: f64) -> i64 {
    let bits = number.to_bits() as i64;
    if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_j_5_floats_are_exact_unless_a_tolerance_is_declared() {
        let near = |absolute, ulps| Some(Tolerance { absolute, ulps });
        let next = f64::from_bits(1.0_f64.to_bits() + 1);
        for (one, other, tolerance, expected) in [
            (0.0, -0.0, None, true),
            (f64::NAN, -f64::NAN, None, true),
            (f64::NAN, 1.0, near(1e9, u64::MAX), false),
            (f64::INFINITY, f64::MAX, near(1e300, u64::MAX), false),
            (f64::INFINITY, f64::INFINITY, None, true),
            (1.0, next, None, false),
            (1.0, next, near(0.0, 1), true),
            (1.0, next, near(0.0, 0), false),
            // Across zero: the smallest numbers on both sides are two apart.
            (5e-324, -5e-324, near(0.0, 2), true),
            (5e-324, -5e-324, near(0.0, 1), false),
            (1.0, 1.5, near(0.5, 0), true),
            (1.0, 1.5, near(0.499, 0), false),
        ] {
            let (left, right) = (Value::Double(one), Value::Double(other));
            assert_eq!(agree(&left, &right, tolerance), expected, "{one} {other} {tolerance:?}");
            assert_eq!(agree(&right, &left, tolerance), expected, "{other} {one} {tolerance:?}");
        }
        let (one, next) = (Value::Float(1.0), Value::Float(f32::from_bits(1.0_f32.to_bits() + 1)));
        assert!(!agree(&one, &next, None));
        assert!(agree(&one, &next, near(0.0, 1)));
        let (low, high) = (Value::Signed(i64::MIN), Value::Signed(i64::MAX));
        assert!(!agree(&low, &high, near(1e18, 0)));
        assert!(agree(&Value::Signed(3), &Value::Signed(5), near(2.0, 0)));
    }
}
