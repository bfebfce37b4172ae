//! What flows and trainers refuse, rather than give densities that are none.

use detfree_core::reference::Heap;
use detfree_core::{Activation, Affine, BaseDensity, Error, Key, Scalar, Shape};
use detfree_flows::relative::{RelativeFlow, RelativeTrainer, RelativeTraining};

const SOUND: Activation = Activation::LeakySoftplus { alpha: 0.3 };

fn of<T: Scalar>(
    weight: &[f64],
    bias: &[f64],
    activation: Activation,
) -> Result<(), Error<core::convert::Infallible>> {
    let layer = Affine {
        weight: weight.to_vec(),
        bias: bias.to_vec(),
    };
    let b = Heap::<T>::new();
    RelativeFlow::from_layers(&b, 2, &[layer], activation, BaseDensity::Normal).map(|_| ())
}

const UNIT: [f64; 4] = [1.0, 0.0, 0.0, 1.0];

#[test]
fn activations_that_are_no_bijections() {
    for activation in [
        Activation::Tanh,
        Activation::Sine,
        Activation::Elu,
        Activation::LipSwish { beta: 1.0 },
        Activation::LeakySoftplus { alpha: 3.0 },
        Activation::TanhLinear {
            alpha: 1.0,
            beta: 0.0,
        },
    ] {
        let made = of::<f64>(&UNIT, &[0.0; 2], activation);
        assert!(matches!(made, Err(Error::Invalid(_))), "{activation:?}");
        let (b, base) = (Heap::<f64>::new(), BaseDensity::Normal);
        let random = RelativeFlow::random(&b, 2, 2, activation, base, Key::new(1)).map(|_| ());
        assert!(matches!(random, Err(Error::Invalid(_))), "{activation:?}");
    }
    of::<f64>(&UNIT, &[0.0; 2], SOUND).unwrap();
}

#[test]
fn numbers_that_are_too_few_too_many_or_not_finite() {
    for (weight, bias) in [(3, 2), (5, 2), (0, 2), (4, 1), (4, 3)] {
        let made = of::<f64>(&vec![0.5; weight], &vec![0.0; bias], SOUND);
        assert!(matches!(made, Err(Error::Shape { .. })), "{weight} {bias}");
    }
    for odd in [f64::NAN, f64::INFINITY, 1e39] {
        let weight = [1.0, odd, 0.0, 1.0];
        let made = [
            of::<f32>(&weight, &[0.0; 2], SOUND),
            of::<f32>(&UNIT, &[0.0, odd], SOUND),
        ];
        let refused = |made: &Result<_, _>| matches!(made, Err(Error::Invalid(_)));
        assert!(made.iter().all(refused), "{odd}");
    }
    // The other precision has room for it.
    of::<f64>(&[1.0, 1e39, 0.0, 1.0], &[0.0; 2], SOUND).unwrap();
}

#[test]
fn lengths_that_cannot_be() {
    let (b, base) = (Heap::<f64>::new(), BaseDensity::Normal);
    for clip in [-1.0, 0.0, -0.0, f64::NAN] {
        let flow = RelativeFlow::random(&b, 2, 2, SOUND, base, Key::new(1)).unwrap();
        let training = RelativeTraining {
            clip: Some(clip),
            ..RelativeTraining::default()
        };
        let made = RelativeTrainer::new(&b, flow, Shape::new(4, 2), training).map(|_| ());
        assert!(matches!(made, Err(Error::Invalid(_))), "{clip}");
    }
}
