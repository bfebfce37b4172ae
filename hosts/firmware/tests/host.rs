//! The mathematics, on the host: what the boards must repeat bit by bit is right.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use detfree_core::{Dense, DenseBackend, Key, Operator, Shape, reference::Slices};
use detfree_firmware::{
    CHANNELS, CONTRACTION, Host, Memory, PROBES, RECORDING, ResidualMap, Sensor, Unmixer, rate,
};

/// log|det A| by elimination in double precision.
fn log_abs_det(a: &[f32]) -> f64 {
    let mut a: Vec<f64> = a.iter().map(|&x| f64::from(x)).collect();
    let mut a = Dense::new(Shape::new(CHANNELS, CHANNELS), &mut a[..]).unwrap();
    Slices::<f64>::new().log_abs_det(&mut a).unwrap().1
}

fn identity() -> [f32; CHANNELS * CHANNELS] {
    core::array::from_fn(|i| f32::from(u8::from(i % (CHANNELS + 1) == 0)))
}

/// Mixed channels are at 0.4; a step of the wrong sign, or one without the leading W, stays there.
#[test]
fn a_recording_comes_apart() {
    assert!(Sensor::amari_distance(&identity()) > 0.3);
    for seed in 0..8 {
        let (mut memory, mut sensor) = (Memory::new(), Sensor::new(Key::new(seed)));
        let mut unmixer = Unmixer::new(&mut memory).unwrap();
        for n in 0..RECORDING {
            let unmixed = unmixer.push(&sensor.read(), rate(n)).unwrap();
            assert_eq!(unmixed.shrinks, Some(0), "sample {n} of recording {seed}");
        }
        let distance = Sensor::amari_distance(unmixer.weight());
        assert!(distance < 0.05, "recording {seed}: {distance}");
        // Each step rounds every element of W by up to ε/2: a random walk of 4,000 steps with 16
        // elements, times the norm of W⁻¹, about 2.
        let drift = unmixer.log_det() - log_abs_det(unmixer.weight());
        let walk = f64::from(f32::EPSILON) * f64::from(RECORDING).sqrt() * 4.0;
        assert!(drift.abs() < 4.0 * walk, "recording {seed}: {drift:e}");
    }
}

/// Without the guard the first of these would make every weight NaN.
#[test]
fn a_glitch_does_no_harm() {
    let (mut memory, mut sensor) = (Memory::new(), Sensor::new(Key::new(1)));
    let mut unmixer = Unmixer::new(&mut memory).unwrap();
    for n in 0..RECORDING / 4 {
        unmixer.push(&sensor.read(), rate(n)).unwrap();
    }
    let (weight, bias) = (unmixer.weight().to_vec(), unmixer.bias().to_vec());
    let log_det = unmixer.log_det();
    for glitch in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut sample = sensor.read();
        sample[2] = glitch;
        let shrinks = unmixer.push(&sample, 0.01).unwrap().shrinks;
        assert_eq!(shrinks, None, "{glitch}");
    }
    // So large that only a step that moves nothing is safe.
    let mut sample = sensor.read();
    sample[2] = 1e30;
    unmixer.push(&sample, 0.01).unwrap();
    for rate in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let shrinks = unmixer.push(&sensor.read(), rate).unwrap().shrinks;
        assert_eq!(shrinks, None, "{rate}");
    }
    assert_eq!(weight, unmixer.weight());
    assert_eq!(bias, unmixer.bias());
    assert_eq!(log_det, unmixer.log_det());

    let mut sample = sensor.read();
    sample[0] += 1000.0;
    let shrinks = unmixer.push(&sample, 0.01).unwrap().shrinks;
    assert!(shrinks > Some(0), "{shrinks:?}");
    let drift = unmixer.log_det() - log_abs_det(unmixer.weight());
    // The sample's rounding is that of numbers near 1,000.
    assert!(drift.abs() < 1000.0 * f64::from(f32::EPSILON), "{drift:e}");
}

/// J at a point, row after row, by products with the unit vectors.
fn jacobian(map: &mut ResidualMap) -> [f32; CHANNELS * CHANNELS] {
    let (mut unit, mut column) = (identity(), [0.0; CHANNELS * CHANNELS]);
    let shape = Shape::new(PROBES, CHANNELS);
    let unit = Dense::new(shape, &mut unit[..]).unwrap();
    let mut columns = Dense::new(shape, &mut column[..]).unwrap();
    map.jvp(&Host::new(), 0..PROBES, &unit, &mut columns)
        .unwrap();
    core::array::from_fn(|i| columns.row(i % CHANNELS)[i / CHANNELS])
}

#[test]
fn the_products_are_transposed_to_each_other() {
    let mut map = ResidualMap::at(&[0.3, -1.2, 0.8, 0.1]);
    let jacobian = jacobian(&mut map);
    let (mut unit, mut rows) = (identity(), [0.0; CHANNELS * CHANNELS]);
    let shape = Shape::new(PROBES, CHANNELS);
    let unit = Dense::new(shape, &mut unit[..]).unwrap();
    let mut rows = Dense::new(shape, &mut rows[..]).unwrap();
    map.vjp(&Host::new(), 0..PROBES, &unit, &mut rows).unwrap();
    for (jvp, vjp) in jacobian.iter().zip(rows.as_slice()) {
        // Sums of eight products below 0.1.
        assert!((jvp - vjp).abs() < f32::EPSILON, "{jvp} {vjp}");
    }
    let norm = jacobian
        .iter()
        .map(|&x| f64::from(x).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!(norm <= CONTRACTION, "{norm}");
}

/// 40 estimates of 5 log-determinants: a bias of 0.6 standard errors would fail (4 of the mean's),
/// and so would error bars that are a third too short or too long (4 standard errors of χ²).
#[test]
fn an_estimate_is_within_its_error_bars() {
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for point in 0..5_u8 {
        let x = core::array::from_fn(|i| f32::from(point) * (i as f32 - 1.5) / 3.0);
        let mut map = ResidualMap::at(&x);
        let mut shifted = jacobian(&mut map);
        for (x, one) in shifted.iter_mut().zip(identity()) {
            *x += one;
        }
        let exact = log_abs_det(&shifted);
        for key in 0..8 {
            let estimate = map.log_det(Key::new(key)).unwrap();
            let z = (estimate.mean - exact) / estimate.standard_error;
            assert!(z.abs() < 4.5, "{estimate:?}, exactly {exact}");
            sum += z;
            squares += z * z;
            count += 1.0;
        }
    }
    let mean = sum / count;
    assert!(mean.abs() < 4.0 / f64::sqrt(count), "{mean}");
    let spread = squares / count - 1.0;
    assert!(spread.abs() < 4.0 * f64::sqrt(2.0 / count), "{spread}");
}
