//! `detfree unmix` as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Rows of three sensors that hear three Laplace sources.
const ROWS: usize = 3000;
const MIXING: [[f64; 3]; 3] = [[2.0, 0.3, -0.5], [0.4, -1.5, 0.2], [0.1, 0.6, 1.0]];

fn detfree(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_detfree"))
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap()
}

/// Numbers between 0 and 1, by a multiplicative generator.
fn uniforms() -> impl Iterator<Item = f64> {
    let mut state = 88_172_645_463_325_252_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    })
}

fn laplace(u: f64) -> f64 {
    let tail = (2.0 * u.min(1.0 - u)).ln();
    if u < 0.5 { tail } else { -tail }
}

/// A folder with the mixture in `mixed.csv`, sensors a, b and c.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut numbers = uniforms().map(laplace);
    let mut text = "a,b,c\n".to_owned();
    for _ in 0..ROWS {
        let s = [(); 3].map(|()| numbers.next().unwrap());
        let x = MIXING.map(|row| row.iter().zip(s).map(|(a, s)| a * s).sum::<f64>() + 7.0);
        text += &format!("{},{},{}\n", x[0], x[1], x[2]);
    }
    fs::write(folder.path().join("mixed.csv"), text).unwrap();
    folder
}

/// Runs `unmix mixed.csv … --json`, which must succeed, and gives the object and stderr.
fn unmix(folder: &TempDir, args: &[&str]) -> (Value, String) {
    let output = detfree(
        folder.path(),
        &[&["unmix", "mixed.csv", "--json"], args].concat(),
    );
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {errors}");
    (serde_json::from_slice(&output.stdout).unwrap(), errors)
}

/// The header and the rows of a file.
fn table(folder: &TempDir, name: &str) -> (String, Vec<Vec<f64>>) {
    let text = fs::read_to_string(folder.path().join(name)).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let rows = rows
        .lines()
        .map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect())
        .collect();
    (header.to_owned(), rows)
}

/// How many rows of W A have one element 10 times larger than the others, each in another column:
/// with 3,000 Laplace rows cross-talk has a deviation of 0.02.
fn separated(unmixing: &[Vec<f64>]) -> usize {
    let mut columns: Vec<usize> = unmixing
        .iter()
        .filter_map(|w| {
            let gain = |j: usize| -> f64 { (0..3).map(|k| w[k] * MIXING[k][j]).sum::<f64>().abs() };
            (0..3).find(|&j| (0..3).all(|k| k == j || gain(j) > 10.0 * gain(k)))
        })
        .collect();
    columns.sort_unstable();
    columns.dedup();
    columns.len()
}

/// Three files that agree with each other, with the report and with what was mixed.
#[test]
fn sources_and_matrices() {
    let folder = folder();
    let (report, errors) = unmix(&folder, &[]);
    assert_eq!(errors, "");
    assert_eq!(report["converged"], true);
    assert_eq!(report["stopped_by"], "convergence");
    assert_eq!((&report["rows"], &report["dim"]), (&ROWS.into(), &3.into()));
    assert!(report["gradient_norm"].as_f64().unwrap() <= 1.2e-5);
    assert_eq!(report["precision"], "f32");
    assert!(report["tracking"].is_null());
    let gain = report["log_likelihood"].as_f64().unwrap()
        - report["gaussian_log_likelihood"].as_f64().unwrap();
    // A Laplace source gains 0.063 nats by the secant (quadrature); 3,000 rows leave 0.01.
    assert!((gain / 3.0 - 0.063).abs() < 0.03, "{gain}");
    let listed = report["sources"].as_array().unwrap();
    assert_eq!(listed[2]["name"], "source_3");
    for source in listed {
        let interference = source["interference"].as_f64().unwrap();
        assert!((1e-4..3e-3).contains(&interference), "{source}");
    }

    let (header, unmixing) = table(&folder, "unmixing.csv");
    assert_eq!(header, "a,b,c,bias");
    assert_eq!(separated(&unmixing), 3);
    let (header, mixing) = table(&folder, "mixing.csv");
    assert_eq!(header, "source_1,source_2,source_3,mean");
    assert_eq!((unmixing.len(), mixing.len()), (3, 3));
    let (header, sources) = table(&folder, "sources.csv");
    assert_eq!(header, "source_1,source_2,source_3");
    let (_, data) = table(&folder, "mixed.csv");
    assert_eq!(sources.len(), ROWS);
    for (s, x) in sources.iter().zip(&data) {
        for i in 0..3 {
            let back: f64 = (0..3).map(|j| mixing[i][j] * s[j]).sum::<f64>() + mixing[i][3];
            assert!((back - x[i]).abs() < 1e-10);
            let again: f64 = (0..3).map(|j| unmixing[i][j] * x[j]).sum::<f64>() + unmixing[i][3];
            assert!((again - s[i]).abs() < 1e-10);
        }
    }
}

/// Online, in single precision, with paths of one's own; the tracked numbers are reported.
#[test]
fn online() {
    let folder = folder();
    for precision in ["f32", "f64"] {
        let (report, _) = unmix(
            &folder,
            &[
                "--online",
                "--precision",
                precision,
                "--seed",
                "3",
                "--unmixing",
                "w.csv",
            ],
        );
        assert_eq!(report["mode"], "online");
        assert_eq!(report["converged"], true);
        let steps = report["tracking"]["steps"].as_u64().unwrap();
        assert_eq!(steps, report["iterations"].as_u64().unwrap() * ROWS as u64);
        let drift = report["tracking"]["log_det_drift"].as_f64().unwrap();
        assert!(drift < if precision == "f32" { 1e-3 } else { 1e-9 });
        assert_eq!(separated(&table(&folder, "w.csv").1), 3);
    }
}

/// The same bits from the same seed, whatever the number of threads; another seed starts
/// elsewhere and comes to the same place.
#[test]
fn runs_repeat() {
    let folder = folder();
    let run = |args: &[&str]| {
        unmix(&folder, args);
        table(&folder, "unmixing.csv").1.concat()
    };
    for mode in [&["--threads", "1"][..], &["--threads", "1", "--online"]] {
        let one = run(mode);
        let two = run(&[&["--threads", "2"], &mode[2..]].concat());
        assert_eq!(one, two);
    }
    let double = ["--precision", "f64", "--seed"];
    let [one, other] = ["0", "5"].map(|seed| run(&[&double[..], &[seed]].concat()));
    assert_ne!(one, other);
    for (a, b) in one.iter().zip(&other) {
        assert!((a - b).abs() < 1e-5);
    }
}

/// The plain report, and an honest word where it stops short or cannot tell sources apart: the
/// results are written all the same.
#[test]
fn report_and_warnings() {
    let folder = folder();
    let output = detfree(folder.path(), &["unmix", "mixed.csv"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for piece in [
        "mixed.csv: 3000 rows, 3 columns",
        "converged",
        "interference",
        "source_3",
        "sources.csv",
    ] {
        assert!(text.contains(piece), "no {piece:?} in {text}");
    }
    assert!(output.stderr.is_empty());

    let (report, errors) = unmix(&folder, &["--iterations", "1"]);
    assert_eq!(report["converged"], false);
    assert_eq!(report["stopped_by"], "iterations");
    assert!(errors.starts_with("detfree: warning: did not converge"));
    assert!(errors.contains("--iterations"));

    // Neither uniform sources nor Gaussian ones (Box and Muller) come apart.
    let gaussian = |u: f64, v: f64| {
        let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
        [sin, cos].map(|x| x * (-2.0 * u.ln()).sqrt())
    };
    for law in [&|u, v| [u, v], &gaussian as &dyn Fn(f64, f64) -> [f64; 2]] {
        let mut numbers = uniforms();
        let mut text = String::new();
        for _ in 0..ROWS {
            let [u, v] = [(); 2].map(|()| numbers.next().unwrap());
            let [u, v] = law(u, v);
            text += &format!("{},{}\n", u + v, u - 2.0 * v);
        }
        fs::write(folder.path().join("mixed.csv"), text).unwrap();
        let (report, errors) = unmix(&folder, &[]);
        for source in report["sources"].as_array().unwrap() {
            assert!(source["interference"].is_null(), "{source}");
        }
        assert_eq!(report["warnings"].as_array().unwrap().len(), 1);
        assert!(errors.contains("source_1 and source_2"), "{errors}");
        let output = detfree(folder.path(), &["unmix", "mixed.csv"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.matches(" not separable\n").count(), 2, "{text}");
    }
}

/// One line, exit code 2, nothing written.
#[test]
fn refusals() {
    let folder = folder();
    let write = |name: &str, row: &dyn Fn(f64, f64) -> String, rows: usize| {
        let mut numbers = uniforms();
        let mut text = "a,\"b \"\"2\"\"\",c\n".to_owned();
        for _ in 0..rows {
            let [u, v] = [(); 2].map(|()| numbers.next().unwrap());
            text += &row(u, v);
        }
        fs::write(folder.path().join(name), text).unwrap();
    };
    write("short.csv", &|u, v| format!("{u},{v},{}\n", u * v), 4);
    write("constant.csv", &|u, v| format!("{u},3,{v}\n"), 50);
    write(
        "dependent.csv",
        &|u, v| format!("{u},{v},{}\n", u - 3.0 * v + 1.0),
        50,
    );
    write(
        "nan.csv",
        &|u, v| format!("{u},{v},{}\n", if u < 0.1 { "nan" } else { "1" }),
        50,
    );
    fs::write(folder.path().join("empty.csv"), "").unwrap();
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    for (args, pieces) in [
        (&["absent.csv"][..], &["absent.csv", "no such file"][..]),
        (&["empty.csv"], &["empty.csv", "empty"]),
        (&["short.csv"], &["short.csv", "at least 5", "found 4"]),
        (&["nan.csv"], &["nan.csv", "\"c\"", "NaN"]),
        (
            &["constant.csv"],
            &["constant.csv", "\"b \\\"2\\\"\"", "constant"],
        ),
        (
            &["dependent.csv"],
            &["dependent.csv", "\"c\"", "linear combination"],
        ),
        (
            &["mixed.csv", "--sources", "absent/s.csv"],
            &["absent/s.csv"],
        ),
        (
            &["mixed.csv", "--mixing", "m.csv", "--unmixing", "m.csv"],
            &["m.csv", "the same file"],
        ),
        (&["mixed.csv", "--iterations", "0"], &["--iterations", "0"]),
        (
            &["mixed.csv", "--precision", "f16"],
            &["--precision", "f16"],
        ),
        (&[], &["<DATA>"]),
    ] {
        let before = names(folder.path());
        let output = detfree(folder.path(), &[&["unmix"], args].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("detfree: error: "), "{text}");
        for piece in pieces {
            assert!(text.contains(piece), "{args:?}: no {piece:?} in {text}");
        }
        assert!(output.stdout.is_empty());
        assert_eq!(names(folder.path()), before, "{args:?}");
    }
    let help = detfree(folder.path(), &["unmix", "--help"]);
    assert!(String::from_utf8(help.stdout).unwrap().contains("Example"));
}
