//! Model files: a round trip, the same bytes for the same model, and a reason for every refusal.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use detfree_core::{Activation, Affine, BaseDensity, Key};
use detfree_flows::residual::{BlockParameters, ResidualParameters};
use detfree_flows::{
    FlowParameters, Model, ModelError, Precision, RelativeParameters, Squash, Standardisation,
};

/// Normals that the precision holds exactly.
fn numbers(precision: Precision, row: u64, count: u32) -> Vec<f64> {
    let exact = |x: f64| match precision {
        Precision::Single => f64::from(x as f32),
        Precision::Double => x,
    };
    let normals = (0..count).map(|j| Key::new(3).normal(row, j));
    normals.map(exact).collect()
}

fn model(precision: Precision) -> Model {
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
        base: BaseDensity::HyperbolicSecant,
        flow: FlowParameters::Relative(RelativeParameters {
            activation: Activation::LeakySoftplus { alpha: 0.3 },
            layers: (0..3)
                .map(|l| Affine {
                    weight: numbers(precision, 2 * l, 4),
                    bias: numbers(precision, 2 * l + 1, 2),
                })
                .collect(),
        }),
    }
}

fn layers(model: &mut Model) -> &mut RelativeParameters {
    match &mut model.flow {
        FlowParameters::Relative(flow) => flow,
        FlowParameters::Residual(_) => panic!("a relative-gradient flow"),
    }
}

/// Two blocks 2-3-4-2.
fn residual(precision: Precision) -> Model {
    let layer = |row: u64, inputs: u32, outputs: u32| Affine {
        weight: numbers(precision, row, inputs * outputs),
        bias: numbers(precision, row + 1, outputs),
    };
    let block = |n: u64| BlockParameters {
        layers: vec![
            layer(10 * n, 2, 3),
            layer(10 * n + 2, 3, 4),
            layer(10 * n + 4, 4, 2),
        ],
        // Numbers of all digits: what is learned comes back with the same bits.
        activations: vec![
            Activation::LipSwish {
                beta: Key::new(5).normal(n, 0).exp(),
            },
            Activation::LipSwish {
                beta: Key::new(5).normal(n, 1).exp(),
            },
        ],
        log_scale: numbers(Precision::Double, 10 * n + 6, 2),
        shift: numbers(Precision::Double, 10 * n + 7, 2),
    };
    Model {
        flow: FlowParameters::Residual(ResidualParameters {
            lipschitz: 0.9,
            blocks: (1..3).map(block).collect(),
        }),
        ..model(precision)
    }
}

fn blocks(model: &mut Model) -> &mut ResidualParameters {
    match &mut model.flow {
        FlowParameters::Residual(flow) => flow,
        FlowParameters::Relative(_) => panic!("a residual flow"),
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
            let mut model = Model {
                squash,
                ..model(precision)
            };
            layers(&mut model).activation = activation;
            same_again(&model);
        }
    }
}

fn same_again(model: &Model) {
    let bytes = model.to_bytes().unwrap();
    assert_eq!(bytes, model.to_bytes().unwrap());
    assert_eq!(&Model::from_bytes(&bytes).unwrap(), model);
}

#[test]
fn residual_round_trip() {
    for precision in [Precision::Single, Precision::Double] {
        for activation in [
            None,
            Some(Activation::Elu),
            Some(Activation::Sine),
            Some(Activation::Tanh),
            Some(Activation::LeakySoftplus { alpha: 1.0 / 3.0 }),
        ] {
            let mut model = residual(precision);
            let flow = blocks(&mut model);
            let hidden = flow.blocks.iter_mut().flat_map(|b| &mut b.activations);
            for (here, activation) in hidden.zip(core::iter::repeat(activation)) {
                *here = activation.unwrap_or(*here);
            }
            flow.lipschitz = 0.1 + 0.2;
            same_again(&model);
        }
    }
}

/// The header of a relative-gradient flow's file is what it always was, byte for byte.
#[test]
fn version_1_stays() {
    let bytes = model(Precision::Single).to_bytes().unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let expected = concat!(
        r#"{"version":1,"model":"relative","columns":["eruptions","waiting \"time\""],"#,
        r#""dequantized":[1],"seed":18446744073709551615,"layers":3,"#,
        r#""activation":"leaky-softplus","alpha":0.3,"base":"hyperbolic-secant"}"#
    );
    assert_eq!(header["__metadata__"]["detfree"], expected);
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

/// No bit of a file can be another one without its being told.
#[test]
fn flipped_bits_are_refused() {
    for model in [model(Precision::Single), residual(Precision::Double)] {
        let mut bytes = model.to_bytes().unwrap();
        for bit in 0..8 * bytes.len() {
            bytes[bit / 8] ^= 1 << (bit % 8);
            // The name of the checksum's entry is the one thing that may change: the model is the same then.
            if let Ok(found) = Model::from_bytes(&bytes) {
                assert_eq!(found, model, "{bit}");
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// The header's JSON with a piece replaced by one of another meaning, in a file without a checksum.
fn edited(from: &str, to: &str) -> ModelError {
    edited_of(&model(Precision::Double), from, to)
}

fn edited_of(model: &Model, from: &str, to: &str) -> ModelError {
    let bytes = model.to_bytes().unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, body) = bytes[8..].split_at(length);
    let header = std::str::from_utf8(header).unwrap();
    assert!(header.contains(from), "{header}");
    let header = header
        .replace(from, to)
        .replace("\"checksum\"", "\"other\"");
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
    says(edited("leaky-softplus", "sine"), "not a bijection");
    says(edited("leaky-softplus", "relu"), "not an activation");
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
    let residual = residual(Precision::Double);
    for (from, to, piece) in [
        (
            "\\\"lipschitz\\\":0.9",
            "\\\"lipschitz\\\":1.0",
            "Lipschitz",
        ),
        (
            "\\\"lipschitz\\\":0.9",
            "\\\"lipschitz\\\":0.0",
            "Lipschitz",
        ),
        ("\\\"lipschitz\\\"", "\\\"lips\\\"", "lipschitz"),
        ("\\\"hidden\\\":[3,", "\\\"hidden\\\":[4,", "shape"),
        ("\\\"hidden\\\":[3,4]", "\\\"hidden\\\":[3]", "shape"),
        ("lip-swish", "relu", "not an activation"),
        ("\\\"beta\\\":", "\\\"beta\\\":-", "sharpness"),
        (
            "\\\"model\\\":\\\"residual\\\"",
            "\\\"model\\\":\\\"relative\\\"",
            "layers",
        ),
    ] {
        says(edited_of(&residual, from, to), piece);
    }
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
    let says = |model: &Model, piece: &str| match model.to_bytes() {
        Err(ModelError::Unsound(reason)) => assert!(reason.contains(piece), "{reason}"),
        other => panic!("{piece}: {other:?}"),
    };
    let refused = |piece, change: fn(&mut Model)| {
        let mut model = model(Precision::Double);
        change(&mut model);
        says(&model, piece);
    };
    refused("a number of layer 1 is not finite", |m| {
        layers(m).layers[1].weight[2] = f64::NAN;
    });
    refused("a number of layer 1 is not finite", |m| {
        layers(m).layers[1].bias[0] = f64::INFINITY;
    });
    refused("of layer 0 has the wrong size", |m| {
        layers(m).layers[0].weight.truncate(3);
    });
    refused("standardisation", |m| m.standardisation.scale[0] = 0.0);
    refused("standardisation", |m| m.standardisation.mean[1] = f64::NAN);
    refused("standardisation", |m| m.standardisation.mean.push(0.0));
    refused("bijection", |m| layers(m).activation = Activation::Tanh);
    refused("no layers", |m| layers(m).layers.clear());
    refused("no columns", |m| m.columns.clear());
    let refused = |piece, change: fn(&mut ResidualParameters)| {
        let mut model = residual(Precision::Double);
        change(blocks(&mut model));
        says(&model, piece);
    };
    for lipschitz in [f64::NAN, -0.5, 0.0, 1.0, f64::INFINITY] {
        let mut model = residual(Precision::Double);
        blocks(&mut model).lipschitz = lipschitz;
        assert!(model.to_bytes().is_err(), "{lipschitz}");
    }
    refused("no blocks", |m| m.blocks.clear());
    refused("block 1: its hidden layers are not those of block 0", |m| {
        m.blocks[1].layers.truncate(1);
    });
    refused("block 1: a weight or bias has the wrong size", |m| {
        m.blocks[1].layers[2].bias.truncate(1);
    });
    refused("block 1: its hidden", |m| {
        m.blocks[1].layers[1].bias.push(0.0);
    });
    refused("block 0: a weight or bias", |m| {
        m.blocks[0].layers[1].weight.truncate(11);
    });
    refused("block 0: a number is not finite", |m| {
        m.blocks[0].layers[1].weight[5] = f64::NAN;
    });
    refused("block 0: a number", |m| {
        m.blocks[0].layers[1].bias[2] = f64::INFINITY;
    });
    refused("block 0: a number", |m| {
        m.blocks[0].log_scale[1] = f64::NEG_INFINITY;
    });
    refused("block 0: a number", |m| m.blocks[0].shift[1] = f64::NAN);
    refused("block 0: its scale or shift", |m| {
        m.blocks[0].log_scale.truncate(1);
    });
    refused("block 0: its scale or shift", |m| {
        m.blocks[0].shift.push(0.0);
    });
    refused(
        "block 0: its hidden layers have not one activation each",
        |m| m.blocks[0].activations.truncate(1),
    );
    refused("block 1: the sharpness", |m| {
        m.blocks[1].activations[0] = Activation::LipSwish { beta: 0.0 }
    });
    // Sound blocks 2-3-4-2 and 2-4-2 are not one flow.
    refused("block 1: its hidden layers are not those of block 0", |m| {
        let block = &mut m.blocks[1];
        block.layers.remove(0);
        block.layers[0].weight.truncate(8);
        block.activations.truncate(1);
    });
    // The same through a file: a NaN in a weight's bytes.
    let mut bytes = model(Precision::Double).to_bytes().unwrap();
    let last = bytes.len() - 8;
    bytes[last..].copy_from_slice(&f64::NAN.to_le_bytes());
    assert!(matches!(
        Model::from_bytes(&bytes),
        Err(ModelError::Corrupt(_))
    ));
}
