//! Every setting of `fit` reaches the model, and presets are settings.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn detfree(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_detfree"));
    command.current_dir(folder).args(args).output().unwrap()
}

fn stdout(folder: &TempDir, args: &[&str]) -> String {
    let output = detfree(folder.path(), args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn fit(folder: &TempDir, args: &[&str]) -> Value {
    let text = stdout(folder, &[&["fit", "--json"], args].concat());
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn number(report: &Value, key: &str) -> f64 {
    report[key].as_f64().unwrap()
}

/// 200 rows of two images of 2×2 pixels in an IDX file: pixels 0 to 255, never constant.
fn images() -> Vec<u8> {
    let mut idx = vec![0, 0, 8, 3, 0, 0, 0, 200, 0, 0, 0, 2, 0, 0, 0, 2];
    idx.extend((0..800_u32).map(|i| (i * i % 251) as u8));
    idx
}

/// Activation, base, side, schedule and limit are written or change what is learned; a run with none of
/// them is another one.
#[test]
fn settings_reach_the_model() {
    let folder = TempDir::new().unwrap();
    let toy = [
        "toy:moons",
        "--rows",
        "300",
        "--epochs",
        "4",
        "--layers",
        "3",
    ];
    let plain = number(&fit(&folder, &toy), "held_out_log_likelihood");
    for extra in [
        ["--gradient", "transposed"],
        ["--schedule", "constant"],
        ["--optimiser", "sgd"],
        ["--optimiser", "momentum:0.5"],
        ["--base", "logistic"],
        ["--clip", "0.1"],
    ] {
        let report = fit(&folder, &[&toy[..], &extra].concat());
        assert_ne!(
            number(&report, "held_out_log_likelihood"),
            plain,
            "{extra:?}"
        );
    }
    let settings = ["--activation", "tanh-linear:1.5,0.2", "--base", "secant"];
    fit(&folder, &[&toy[..], &settings].concat());
    let info = stdout(&folder, &["info", "model.safetensors"]);
    for piece in ["tanh-linear", "hyperbolic-secant", "layers       3 of"] {
        assert!(info.contains(piece), "{info}");
    }
}

/// SGD's progress shows the likelihood that it follows, and how far it drifted.
#[test]
fn sgd_says_what_it_follows() {
    let folder = TempDir::new().unwrap();
    let args = ["fit", "toy:moons", "--rows", "300", "--epochs", "2"];
    let run = |extra: &[&str]| {
        let output = detfree(folder.path(), &[&args[..], extra].concat());
        String::from_utf8(output.stderr).unwrap()
    };
    let sgd = run(&["--optimiser", "sgd"]);
    assert!(
        sgd.contains(", training ") && sgd.contains(", drift "),
        "{sgd}"
    );
    assert!(!run(&[]).contains("drift"));
}

/// A rate so high that weights are thrown about leaves the last ones worse than the best, and is told.
#[test]
fn training_that_gets_worse_is_told() {
    let folder = TempDir::new().unwrap();
    let toy = ["fit", "toy:moons", "--rows", "2000", "--epochs", "60"];
    let run = |extra: &[&str]| {
        let output = detfree(folder.path(), &[&toy[..], extra].concat());
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let thrown = run(&["--lr", "0.3", "--schedule", "constant", "--seed", "3"]);
    assert!(
        thrown.contains("got worse after epoch ") && thrown.contains("--lr"),
        "{thrown}"
    );
    assert!(!run(&[]).contains("warning"));
}

/// The logit of images: figures in three units that belong together, a score that repeats the
/// report, samples that are pixels.
#[test]
fn images_in_logit_space() {
    let folder = TempDir::new().unwrap();
    for name in ["train.idx", "test.idx"] {
        fs::write(folder.path().join(name), images()).unwrap();
    }
    let report = fit(
        &folder,
        &[
            "train.idx",
            "--test",
            "test.idx",
            "--preset",
            "rg-mnist",
            "--validation",
            "40",
            "--batch",
            "20",
            "--epochs",
            "5",
        ],
    );
    assert_eq!(report["layers"], 2);
    assert_eq!(report["rows_train"], 160);
    assert_eq!(report["rows_validation"], 40);
    let nats = number(&report, "held_out_log_likelihood");
    let bits = number(&report, "bits_per_dimension");
    assert!((bits + nats / 4.0 / 2.0_f64.ln()).abs() < 1e-12);
    // Uniform pixels have 8 bits.
    assert!(bits > 7.0 && bits < 11.0, "{bits}");
    // A pixel's logit spreads over more than its 256 levels are wide in logit space.
    let logit = number(&report, "logit_log_likelihood");
    assert!(logit > nats, "{logit} {nats}");

    let scores = stdout(&folder, &["score", "model.safetensors", "test.idx"]);
    let scores = scores
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap());
    let scores: Vec<f64> = scores.map(|score| score.parse().unwrap()).collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!((mean - nats).abs() < 1e-9, "{mean} {nats}");
    let info = stdout(&folder, &["info", "model.safetensors"]);
    assert!(info.contains("logit        of 0.000001 +"), "{info}");
    let samples = stdout(&folder, &["sample", "model.safetensors", "-n", "50"]);
    for cell in samples.lines().skip(1).flat_map(|line| line.split(',')) {
        let pixel: f64 = cell.parse().unwrap();
        assert!(
            pixel.fract() == 0.0 && (0.0..256.0).contains(&pixel),
            "{cell}"
        );
    }
}

/// What a logit cannot take is refused before anything is trained.
#[test]
fn a_logit_wants_whole_numbers() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..30)
        .map(|r| format!("{},{}\n", r, 0.5 * f64::from(r)))
        .collect();
    fs::write(folder.path().join("half.csv"), rows).unwrap();
    let output = detfree(folder.path(), &["fit", "half.csv", "--logit", "1e-6"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("row 2, column \"x1\": 0.5 is none of the whole numbers from 0 to 29"),
        "{error}"
    );
    assert!(!folder.path().join("model.safetensors").exists());
}

#[test]
fn presets_are_settings_that_options_change() {
    let folder = TempDir::new().unwrap();
    let toy = [
        "toy:sine", "--rows", "200", "--preset", "rg-toy", "--epochs", "1",
    ];
    assert_eq!(fit(&folder, &toy)["layers"], 100);
    let fewer = fit(&folder, &[&toy[..], &["--layers", "7"]].concat());
    assert_eq!(fewer["layers"], 7);

    fs::write(folder.path().join("train.idx"), images()).unwrap();
    let published = [
        "train.idx",
        "--preset",
        "rg-mnist-published",
        "--validation",
        "40",
        "--epochs",
        "1",
    ];
    assert_eq!(fit(&folder, &published)["layers"], 2);
    let info = stdout(&folder, &["info", "model.safetensors"]);
    assert!(info.contains("leaky-softplus:0.01"), "{info}");
    assert!(info.contains("logit        of 0.000001 +"), "{info}");
}

/// With λ = 0.3 six tenths of logit space are margins beyond the levels, where a flow of mass at the ends
/// draws many samples: they are levels all the same, and `score` takes every one.
#[test]
fn samples_of_a_logit_are_levels() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..200)
        .map(|r| format!("{},{}\n", 15 * (r % 2), r * r % 7))
        .collect();
    fs::write(folder.path().join("levels.csv"), rows).unwrap();
    fit(&folder, &["levels.csv", "--logit", "0.3", "--epochs", "5"]);
    let samples = stdout(&folder, &["sample", "model.safetensors", "-n", "500"]);
    let cells = samples.lines().skip(1).flat_map(|line| line.split(','));
    let cells: Vec<f64> = cells.map(|cell| cell.parse().unwrap()).collect();
    assert!(cells.iter().all(|cell| (0.0..=15.0).contains(cell)));
    fs::write(folder.path().join("samples.csv"), samples).unwrap();
    let scores = stdout(&folder, &["score", "model.safetensors", "samples.csv"]);
    assert_eq!(scores.lines().count(), 501);
    assert!(!scores.contains("inf"), "{scores}");
}
