//! Rows so far from the data that no number holds their density.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

fn detfree(folder: &TempDir, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_detfree"));
    let output = command.current_dir(folder).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}");
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// −∞, no NaN, of either kind of model in either precision, beside the figures of the other rows; and how
/// many there were.
#[test]
fn far_rows_have_no_density() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..40)
        .map(|r| format!("{r}.5,{}.25\n", r * r % 17))
        .collect();
    fs::write(folder.path().join("good.csv"), rows).unwrap();
    let far = "1e300,1e300\n7.5,3.25\n-1e300,1e300\n";
    fs::write(folder.path().join("far.csv"), far).unwrap();
    let warning = "2 of 3 rows have log-likelihood -inf";
    for options in [
        &["--model", "relative"][..],
        &["--model", "relative", "--precision", "f64"],
        &["--model", "residual"],
    ] {
        let fit = ["fit", "good.csv", "--epochs", "3", "--test", "far.csv"];
        let plot = [&fit, options, &["--plot", "p.png"]].concat();
        let report = detfree(&folder, &plot);
        assert!(text(&report.stderr).contains(warning), "{options:?}");
        let said = text(&report.stdout);
        assert!(said.contains("model          -inf\n"), "{said}");
        assert!(!said.contains("NaN") && !said.contains("gain"), "{said}");

        // JSON has no such number, and null would be none at all.
        let json = detfree(&folder, &[&fit, options, &["--json"]].concat());
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["held_out_log_likelihood"], "-inf");
        assert!(json["all_rows_log_likelihood"].is_f64());

        let scores = detfree(&folder, &["score", "model.safetensors", "far.csv"]);
        assert!(text(&scores.stderr).contains(warning), "{options:?}");
        let lines: Vec<&str> = text(&scores.stdout).lines().collect();
        assert_eq!([lines[1], lines[3]], ["-inf,0"; 2], "{options:?}");
        let near: f64 = lines[2].split(',').next().unwrap().parse().unwrap();
        assert!(near.is_finite());
    }
}
