//! Residual flows from end to end, as a user runs them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn detfree(folder: &TempDir, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_detfree"));
    command.current_dir(folder).args(args).output().unwrap()
}

/// Stdout and stderr.
fn run(folder: &TempDir, args: &[&str]) -> (String, String) {
    let output = detfree(folder, args);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {errors}");
    (String::from_utf8(output.stdout).unwrap(), errors)
}

fn fit(folder: &TempDir, args: &[&str]) -> Value {
    let (text, _) = run(
        folder,
        &[&["fit", "--json", "--model", "residual"], args].concat(),
    );
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn number(report: &Value, key: &str) -> f64 {
    report[key]
        .as_f64()
        .unwrap_or_else(|| panic!("no number {key} in {report}"))
}

/// The rows of CSV text, without the header.
fn rows(csv: &str) -> Vec<Vec<f64>> {
    let lines = csv.lines().skip(1);
    lines
        .map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect())
        .collect()
}

const TOY: [&str; 13] = [
    "toy:8gaussians",
    "--rows",
    "2000",
    "--blocks",
    "4",
    "--hidden",
    "32,32",
    "--epochs",
    "60",
    "--batch",
    "50",
    "--lr",
    "0.003",
];

/// Two columns: exact log-determinants, whose figures `score` repeats; a picture; samples that the
/// model finds as likely as the held-out rows.
#[test]
fn two_columns() {
    let folder = TempDir::new().unwrap();
    let report = fit(&folder, &[&TOY[..], &["--plot", "density.png"]].concat());
    let nats = number(&report, "held_out_log_likelihood");
    let gaussian = number(&report, "gaussian_log_likelihood");
    // A Gaussian is the best that a flow without a working log-determinant comes to.
    assert!(nats > gaussian + 0.3, "{report}");
    assert_eq!(report["blocks"], 4);
    assert!(report["layers"].is_null() && report["estimate_standard_error"].is_null());
    assert!(
        fs::read(folder.path().join("density.png"))
            .unwrap()
            .starts_with(b"\x89PNG")
    );

    let (info, _) = run(&folder, &["info", "model.safetensors"]);
    for piece in ["residual flow", "4 of 2-32-32-2", "at most 0.9", "sine"] {
        assert!(info.contains(piece), "{info}");
    }

    let (samples, said) = run(&folder, &["sample", "model.safetensors", "-n", "3000"]);
    assert!(said.contains("certified"), "{said}");
    fs::write(folder.path().join("samples.csv"), &samples).unwrap();
    let score = |options: &[&str]| {
        let args = [&["score", "model.safetensors", "samples.csv"], options].concat();
        let (csv, said) = run(&folder, &args);
        (rows(&csv), said)
    };
    let (auto, _) = score(&[]);
    // A flow that is inverted wrongly puts its samples where it finds them no likelier than a Gaussian.
    let mean = auto.iter().map(|row| row[0]).sum::<f64>() / 3000.0;
    assert!(mean > gaussian + 0.2, "{mean} {gaussian}");
    let (begin, _) = run(&folder, &["sample", "model.safetensors", "-n", "1500"]);
    assert!(samples.starts_with(&begin));

    // As few products as two columns take are spent anyway: the figures are the exact ones.
    let (exact, said) = score(&["--exact", "--explain"]);
    assert!(
        said.starts_with("exact") && said.contains("certified"),
        "{said}"
    );
    assert!(exact.iter().all(|row| row[1] == 0.0));
    assert_eq!(auto, exact);
}

/// More columns than are worth making a Jacobian explicit: training estimates, `score` says how well it
/// did, spends more where more is asked for, and says where it fell short.
#[test]
fn estimates_have_error_bars() {
    let folder = TempDir::new().unwrap();
    // 400 columns that a sine of every row's own phase has in common.
    let cell = |r: u32, c: u32| (f64::from(r * r % 401) * 0.7 + f64::from(c) * 0.1).sin();
    let rough = |r: u32, c: u32| f64::from((r * 7919 + c * 104_729) % 1009) / 1009.0;
    let line = |r: u32| {
        let cells = (0..400).map(|c| format!("{:.4}", cell(r, c) + rough(r, c)));
        cells.collect::<Vec<_>>().join(",") + "\n"
    };
    let table: String = (0..450).map(line).collect();
    fs::write(folder.path().join("wide.csv"), table).unwrap();
    let report = fit(
        &folder,
        &[
            "wide.csv",
            "--blocks",
            "2",
            "--hidden",
            "32",
            "--epochs",
            "2",
            "--lipschitz",
            "0.7",
        ],
    );
    assert_eq!(report["blocks"], 2);
    assert!(number(&report, "estimate_standard_error") > 0.0);
    // Few rows score as fast as a test should be.
    let few = run(&folder, &["sample", "model.safetensors", "-n", "40"]).0;
    fs::write(folder.path().join("few.csv"), few).unwrap();
    let score = |options: &[&str]| {
        let args = [&["score", "model.safetensors", "few.csv"], options].concat();
        let (csv, said) = run(&folder, &args);
        (rows(&csv), said)
    };
    let (exact, _) = score(&["--exact"]);
    let (loose, _) = score(&["--tol", "0.04"]);
    let (tight, _) = score(&["--tol", "0.01"]);
    let mut squares = 0.0;
    for ((exact, loose), tight) in exact.iter().zip(&loose).zip(&tight) {
        assert!(loose[1] > 0.0 && tight[1] < loose[1], "{loose:?} {tight:?}");
        squares += ((loose[0] - exact[0]) / loose[1]).powi(2);
        assert!(
            (tight[0] - exact[0]).abs() < 6.0 * tight[1] + 1e-3,
            "{tight:?} {exact:?}"
        );
    }
    // 40 squared normals have a mean of 1 and a standard deviation of 0.22.
    assert!(squares / 40.0 < 2.2, "{squares}");
    let (_, said) = score(&["--tol", "1e-6", "--products", "400"]);
    assert!(
        said.contains("40 of 40 rows") && said.contains("--products"),
        "{said}"
    );
    for too_few in [&["--exact"][..], &["--tol", "0.04"]] {
        let score = ["score", "model.safetensors", "few.csv", "--products", "10"];
        let refused = detfree(&folder, &[&score[..], too_few].concat());
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("raise --products"), "{said}");
    }
    // The same figures every time.
    assert_eq!(score(&["--tol", "0.04"]).0, loose);
}

/// Every option reaches training: a run with it is another one.
#[test]
fn options_reach_the_model() {
    let folder = TempDir::new().unwrap();
    let toy = [
        "toy:moons",
        "--rows",
        "300",
        "--epochs",
        "3",
        "--blocks",
        "2",
        "--hidden",
        "8",
    ];
    let held_out = |extra: &[&str]| {
        let report = fit(&folder, &[&toy[..], extra].concat());
        number(&report, "held_out_log_likelihood")
    };
    let plain = held_out(&[]);
    assert_eq!(held_out(&[]), plain);
    for extra in [
        ["--lipschitz", "0.5"],
        ["--activation", "elu"],
        ["--activation", "lip-swish:2"],
        ["--activation", "tanh"],
        ["--activation", "leaky-softplus:0.2"],
        ["--clip", "0.01"],
        ["--ema", "0.1"],
        ["--warmup", "50"],
        ["--estimator", "paper"],
        ["--estimator", "roulette"],
        ["--estimator", "truncated:3"],
        ["--base", "logistic"],
        ["--batch", "30"],
        ["--seed", "1"],
    ] {
        assert_ne!(held_out(&extra), plain, "{extra:?}");
    }
    for (estimator, piece) in [
        ("exact", "exact"),
        ("roulette", "oulette"),
        ("truncated:3", "3 terms"),
    ] {
        let args = [
            "fit",
            "--model",
            "residual",
            "--json",
            "--explain",
            "--estimator",
            estimator,
        ];
        let (_, said) = run(&folder, &[&args[..], &toy].concat());
        assert!(said.lines().count() == 1 && said.contains(piece), "{said}");
    }
}

/// A batch of the smallest tables still has deviations to be normalised by.
#[test]
fn few_rows() {
    let folder = TempDir::new().unwrap();
    for count in 4..10 {
        let values: String = (0..count)
            .map(|r| format!("{r}.5,{}.25\n", r * r % 7))
            .collect();
        fs::write(folder.path().join("few.csv"), values).unwrap();
        let report = fit(&folder, &["few.csv", "--epochs", "3"]);
        assert_eq!(report["stopped_by"], "epochs");
        assert!(number(&report, "held_out_log_likelihood").is_finite());
    }
}

/// One column is a dimension like others.
#[test]
fn one_column() {
    let folder = TempDir::new().unwrap();
    let values: String = (0..400)
        .map(|r| {
            format!(
                "{}\n",
                (f64::from(r) * 0.7).sin().powi(3) + 0.001 * f64::from(r)
            )
        })
        .collect();
    fs::write(folder.path().join("one.csv"), format!("x\n{values}")).unwrap();
    let report = fit(
        &folder,
        &[
            "one.csv",
            "--epochs",
            "5",
            "--blocks",
            "2",
            "--plot",
            "curve.png",
        ],
    );
    assert_eq!(report["dim"], 1);
    let (samples, _) = run(&folder, &["sample", "model.safetensors", "-n", "10"]);
    assert_eq!(rows(&samples).len(), 10);
}
