//! Model files: a round trip, the same bytes for the same model, and a reason for every refusal.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use detfree_core::{Activation, Affine, BaseDensity, Key};
use detfree_flows::{Model, ModelError, Precision, Squash, Standardisation};

fn model(precision: Precision) -> Model {
    let key = Key::new(3);
    let numbers = |row: u64, count: u32| -> Vec<f64> {
        let exact = |x: f64| match precision {
            Precision::Single => f64::from(x as f32),
            Precision::Double => x,
        };
        (0..count).map(|j| exact(key.normal(row, j))).collect()
    };
    Model {
        columns: vec!["eruptions".into(), "waiting \"time\"".into()],
        dequantized: vec![1],
        seed: u64::MAX,
        precision,
        squash: None,
        standardisation: Standardisation {
            mean: vec![3.5, 70.9],
            scale: vec![1.1, 13.6],
        },
        activation: Activation::LeakySoftplus { alpha: 0.3 },
        base: BaseDensity::HyperbolicSecant,
        layers: (0..3)
            .map(|l| Affine {
                weight: numbers(2 * l, 4),
                bias: numbers(2 * l + 1, 2),
            })
            .collect(),
    }
}

#[test]
fn round_trip() {
    for precision in [Precision::Single, Precision::Double] {
        for activation in [
            Activation::LeakySoftplus { alpha: 0.01 },
            Activation::TanhLinear {
                alpha: 1.0,
                beta: 0.1,
            },
            Activation::Identity,
        ] {
            let squash = (activation == Activation::Identity).then_some(Squash {
                lambda: 1e-6,
                levels: 256.0,
            });
            let model = Model {
                activation,
                squash,
                ..model(precision)
            };
            let bytes = model.to_bytes().unwrap();
            assert_eq!(bytes, model.to_bytes().unwrap());
            assert_eq!(Model::from_bytes(&bytes).unwrap(), model);
        }
    }
}

/// Cut anywhere, a file is refused; so is one with a byte too many.
#[test]
fn truncated_files_are_refused() {
    let bytes = model(Precision::Single).to_bytes().unwrap();
    for length in 0..bytes.len() {
        let refused = Model::from_bytes(&bytes[..length]).unwrap_err();
        assert!(matches!(refused, ModelError::NotSafetensors(_)), "{length}");
    }
    let long = [&bytes[..], b"x"].concat();
    assert!(Model::from_bytes(&long).is_err());
}

/// The header's JSON with a piece replaced by one of another meaning.
fn edited(from: &str, to: &str) -> ModelError {
    let bytes = model(Precision::Double).to_bytes().unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, body) = bytes[8..].split_at(length);
    let header = std::str::from_utf8(header).unwrap();
    assert!(header.contains(from), "{header}");
    let header = header.replace(from, to);
    let length = (header.len() as u64).to_le_bytes();
    Model::from_bytes(&[&length[..], header.as_bytes(), body].concat()).unwrap_err()
}

#[test]
fn foreign_and_contradictory_files_are_refused() {
    let says = |error: ModelError, piece: &str| {
        let text = error.to_string();
        assert!(text.contains(piece), "{text}");
        assert_eq!(text.lines().count(), 1);
    };
    assert_eq!(edited("\"detfree\":", "\"other\":"), ModelError::Foreign);
    assert_eq!(
        edited("\\\"version\\\":1", "\\\"version\\\":2"),
        ModelError::Version(2)
    );
    says(
        edited(
            "\\\"model\\\":\\\"relative\\\"",
            "\\\"model\\\":\\\"other\\\"",
        ),
        "unknown kind of model",
    );
    says(
        edited("\\\"layers\\\":3", "\\\"layers\\\":4"),
        "layer.3.weight",
    );
    says(edited("\\\"layers\\\":3", "\\\"layers\\\":0"), "no layers");
    says(edited("leaky-softplus", "sine"), "not an activation");
    says(edited("\\\"alpha\\\":0.3", "\\\"alpha\\\":1.5"), "alpha");
    says(edited("hyperbolic-secant", "cauchy"), "not a base density");
    says(
        edited("\\\"dequantized\\\":[1]", "\\\"dequantized\\\":[2]"),
        "dequantised column",
    );
    says(
        edited("\\\"columns\\\":[\\\"eruptions\\\",", "\\\"columns\\\":["),
        "shape",
    );
    says(edited("\\\"seed\\\":", "\\\"need\\\":"), "seed");
    for bytes in [
        &b""[..],
        b"{}",
        b"PK\x03\x04 not ours at all, but long enough",
    ] {
        assert!(matches!(
            Model::from_bytes(bytes),
            Err(ModelError::NotSafetensors(_))
        ));
    }
}

#[test]
fn numbers_that_no_training_gives_are_refused() {
    let refused = |change: fn(&mut Model)| {
        let mut model = model(Precision::Double);
        change(&mut model);
        assert!(matches!(model.to_bytes(), Err(ModelError::Corrupt(_))));
    };
    refused(|m| m.layers[1].weight[2] = f64::NAN);
    refused(|m| m.layers[1].bias[0] = f64::INFINITY);
    refused(|m| m.layers[0].weight.truncate(3));
    refused(|m| m.standardisation.scale[0] = 0.0);
    refused(|m| m.standardisation.mean[1] = f64::NAN);
    refused(|m| m.standardisation.mean.push(0.0));
    refused(|m| m.activation = Activation::Tanh);
    refused(|m| m.layers.clear());
    refused(|m| m.columns.clear());
    // The same through a file: a NaN in a weight's bytes.
    let mut bytes = model(Precision::Double).to_bytes().unwrap();
    let last = bytes.len() - 8;
    bytes[last..].copy_from_slice(&f64::NAN.to_le_bytes());
    assert!(matches!(
        Model::from_bytes(&bytes),
        Err(ModelError::Corrupt(_))
    ));
}
