//! The commands on real data, as a user runs them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

fn data(name: &str) -> String {
    let data = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../data")
        .join(name);
    data.display().to_string()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_detfree"));
    command.args(args);
    command
}

fn stdout(args: &[&str]) -> String {
    let output = command(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `fit … --json` and gives the object in its last line.
fn fit(args: &[&str]) -> Value {
    let text = stdout(&[&["fit", "--json"], args].concat());
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn number(report: &Value, key: &str) -> f64 {
    report[key]
        .as_f64()
        .unwrap_or_else(|| panic!("no number {key} in {report}"))
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

/// The rows of CSV text, without the header.
fn rows(csv: &str) -> Vec<Vec<f64>> {
    let lines = csv.lines().skip(1);
    lines
        .map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect())
        .collect()
}

/// Means and the covariance matrix (divisor n) of rows.
fn moments(rows: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let (count, dim) = (rows.len() as f64, rows[0].len());
    let mean: Vec<f64> = (0..dim)
        .map(|j| rows.iter().map(|row| row[j]).sum::<f64>() / count)
        .collect();
    let covariance = |i: usize, j: usize| {
        let products = rows
            .iter()
            .map(|row| (row[i] - mean[i]) * (row[j] - mean[j]));
        products.sum::<f64>() / count
    };
    let covariances = (0..dim)
        .map(|i| (0..dim).map(|j| covariance(i, j)).collect())
        .collect();
    (mean, covariances)
}

/// The digits beat their Gaussian by 11 nats and more, within a minute; scoring the file gives
/// the report's figure again; the report adds up.
#[test]
fn digits_beat_their_gaussian() {
    let place = Place::new();
    let model = place.path("digits.safetensors");
    let report = fit(&[&data("digits.csv.gz"), "--dequantize", "--out", &model]);
    let gain =
        number(&report, "held_out_log_likelihood") - number(&report, "gaussian_log_likelihood");
    assert!(gain > 11.0, "{report}");
    assert_eq!(report["dim"], 64);
    assert_eq!(report["model_path"], model);
    let parts = ["rows_train", "rows_validation", "rows_held_out"];
    assert_eq!(
        parts.map(|part| number(&report, part)).iter().sum::<f64>(),
        1797.0
    );
    assert!(number(&report, "standard_error") > 0.0);
    assert!(["patience", "epochs"].contains(&report["stopped_by"].as_str().unwrap()));

    let scores = stdout(&["score", &model, &data("digits.csv.gz")]);
    assert!(scores.starts_with("log_likelihood,standard_error\n"));
    let scores = rows(&scores);
    assert_eq!(scores.len(), 1797);
    let mean = scores.iter().map(|row| row[0]).sum::<f64>() / 1797.0;
    // The same bits, printed and read back; the sums differ in rounding only.
    assert!((mean - number(&report, "all_rows_log_likelihood")).abs() < 1e-9 * mean.abs());
    assert!(scores.iter().all(|row| row[1] == 0.0));
}

/// Over five seeds the faithful geysers beat their Gaussian on average.
#[test]
fn faithful_beats_its_gaussian() {
    let place = Place::new();
    let mut gains = 0.0;
    for seed in ["0", "1", "2", "3", "4"] {
        let model = place.path("m");
        let report = fit(&[
            &data("faithful.csv"),
            "--dequantize",
            "--seed",
            seed,
            "--out",
            &model,
        ]);
        gains +=
            number(&report, "held_out_log_likelihood") - number(&report, "gaussian_log_likelihood");
    }
    assert!(gains > 0.0, "{gains}");
}

/// 20,000 samples of a fitted model have the data's means and covariances to 5 standard errors of
/// sampling plus a slack for what the fit saw: the mean of 218 rows has a standard error of 0.07
/// deviations, their variance one of √(2/218) = 0.1; the slack is two and a half of those.
#[test]
fn samples_look_like_the_data() {
    let place = Place::new();
    let model = place.path("m");
    fit(&[&data("faithful.csv"), "--dequantize", "--out", &model]);
    let text = stdout(&["sample", &model, "-n", "20000", "--seed", "5"]);
    assert!(text.starts_with("eruptions,waiting\n"));
    let samples = rows(&text);
    assert_eq!(samples.len(), 20_000);
    // Minutes of waiting are whole numbers, in the data and in the samples.
    assert!(
        samples
            .iter()
            .all(|row| row[1].fract() == 0.0 && row[0].is_finite())
    );
    let (mean, covariance) = moments(&samples);
    let (data_mean, data_covariance) =
        moments(&rows(&fs::read_to_string(data("faithful.csv")).unwrap()));
    let deviation = |j: usize| data_covariance[j][j].sqrt();
    let sampling = 5.0 / 20_000.0_f64.sqrt();
    for i in 0..2 {
        let slack = (sampling + 0.17) * deviation(i);
        assert!(
            (mean[i] - data_mean[i]).abs() < slack,
            "{mean:?} {data_mean:?}"
        );
        for j in 0..2 {
            let slack = (2.0 * sampling + 0.25) * deviation(i) * deviation(j);
            let difference = (covariance[i][j] - data_covariance[i][j]).abs();
            assert!(difference < slack, "{covariance:?} {data_covariance:?}");
        }
    }
    // Threads share the work and leave the numbers.
    let one = stdout(&[
        "sample",
        &model,
        "-n",
        "20000",
        "--seed",
        "5",
        "--threads",
        "1",
    ]);
    assert!(one == text);
    let file = data("faithful.csv");
    let [one, two] = ["1", "2"].map(|n| stdout(&["score", &model, &file, "--threads", n]));
    assert!(one == two);
    // A stream is a stream: fewer rows are its beginning, another seed is another one.
    let begin = stdout(&["sample", &model, "-n", "1500", "--seed", "5"]);
    assert!(text.starts_with(&begin));
    assert_ne!(
        begin,
        stdout(&["sample", &model, "-n", "1500", "--seed", "6"])
    );
}

/// What one command writes another reads, packed or not; nothing is no table.
#[test]
fn tables_from_standard_input() {
    let place = Place::new();
    let model = place.path("m");
    fit(&[&data("faithful.csv"), "--dequantize", "--out", &model]);
    let piped = |args: &[&str], file: &str| {
        let input = fs::File::open(file).unwrap();
        command(args).stdin(input).output().unwrap()
    };
    let faithful = data("faithful.csv");
    let scores = piped(&["score", &model, "-"], &faithful);
    assert_eq!(
        String::from_utf8_lossy(&scores.stdout),
        stdout(&["score", &model, &faithful])
    );
    let out = place.path("digits");
    let quick = ["--dequantize", "--epochs", "1", "--out", &out];
    let digits = piped(
        &[&["fit", "-"][..], &quick].concat(),
        &data("digits.csv.gz"),
    );
    assert!(String::from_utf8_lossy(&digits.stdout).contains("standard input: 64 columns"));
    assert!(stdout(&["info", &out]).contains("64 of 64 columns"));
    let empty = place.path("empty");
    fs::write(&empty, "").unwrap();
    let refused = piped(&["unmix", "-"], &empty);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("standard input: is empty"));
}

/// The same seed and thread count give the same file, bit for bit, in either precision.
#[test]
fn files_repeat_bit_for_bit() {
    let place = Place::new();
    for precision in ["f32", "f64"] {
        for threads in ["1", "2"] {
            let [one, two] = ["one", "two"].map(|name| {
                let path = place.path(name);
                let digits = data("digits.csv.gz");
                fit(&[
                    &digits,
                    "--dequantize",
                    "--epochs",
                    "3",
                    "--precision",
                    precision,
                    "--threads",
                    threads,
                    "--seed",
                    "9",
                    "--out",
                    &path,
                ]);
                fs::read(path).unwrap()
            });
            assert!(one == two, "{precision}, {threads} threads");
        }
    }
}

/// Every format of data, a test file, a toy, a picture, and the plain report.
#[test]
fn formats_and_reports() {
    let place = Place::new();
    let (model, picture) = (place.path("m"), place.path("density.png"));
    // IDX of bytes: dequantised without being asked.
    let mut idx = vec![0, 0, 8, 2, 0, 0, 1, 0, 0, 0, 0, 3];
    idx.extend((0..768_u32).map(|i| (i * i % 251) as u8));
    fs::write(place.path("bytes.idx"), idx).unwrap();
    let text = stdout(&[
        "fit",
        &place.path("bytes.idx"),
        "--epochs",
        "3",
        "--out",
        &model,
        "--plot",
        &picture,
    ]);
    assert!(text.contains("3 columns, 3 dequantised"), "{text}");
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    let info = stdout(&["info", &model]);
    assert!(info.contains("dequantised  3 of 3 columns"), "{info}");

    let report = fit(&[
        "toy:moons",
        "--rows",
        "500",
        "--epochs",
        "3",
        "--out",
        &model,
        "--plot",
        &picture,
    ]);
    assert_eq!(report["rows_train"], 450);
    assert_eq!(report["rows_held_out"], 10_000);
    assert_eq!(report["stopped_by"], "epochs");
    assert_eq!(report["plot_path"], picture);

    let faithful = data("faithful.csv");
    let report = fit(&[
        &faithful,
        "--test",
        &faithful,
        "--dequantize",
        "--epochs",
        "3",
        "--out",
        &model,
    ]);
    assert_eq!(report["rows_held_out"], 272);
    assert_eq!(report["rows_train"], 245);
    // Whole numbers without noise: a warning that names them.
    let output = command(&["fit", &faithful, "--epochs", "3", "--out", &model])
        .output()
        .unwrap();
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(
        warning.contains("warning") && warning.contains("\"waiting\""),
        "{warning}"
    );
}

#[test]
fn a_budget_ends_training() {
    let place = Place::new();
    let report = fit(&[
        "toy:rings",
        "--layers",
        "100",
        "--budget",
        "1s",
        "--out",
        &place.path("m"),
    ]);
    assert_eq!(report["stopped_by"], "budget");
    assert!(number(&report, "seconds") < 20.0, "{report}");
}

/// One column is no columns; a name that would command a terminal is shown, and kept as it is.
#[test]
fn one_column_of_a_strange_name() {
    let place = Place::new();
    let [model, file] = ["m", "one.csv"].map(|name| place.path(name));
    let values: String = (0..40).map(|r| format!("{r}.5\n")).collect();
    fs::write(&file, format!("a\u{1b}[31m\n{values}")).unwrap();
    let report = stdout(&["fit", &file, "--epochs", "2", "--out", &model]);
    assert!(
        report.contains("one.csv: 1 column named by its first line\n"),
        "{report}"
    );
    let info = stdout(&["info", &model]);
    assert!(info.contains("0 of 1 column\n"), "{info}");
    assert!(
        info.contains("\na\\u{1b}[31m ") && !info.contains('\u{1b}'),
        "{info}"
    );
    assert!(stdout(&["sample", &model, "-n", "3"]).starts_with("a\u{1b}[31m\n"));
}

/// A closed pipe is no error.
#[test]
fn pipes() {
    let place = Place::new();
    let model = place.path("m");
    fit(&[
        "toy:sine", "--rows", "300", "--epochs", "2", "--out", &model,
    ]);
    let mut child = command(&["sample", &model, "-n", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stderr.is_empty());
}
