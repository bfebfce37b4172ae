//! What a terminal shows.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use tempfile::TempDir;

/// Runs the command in a terminal, both of whose outputs then come by stdout.
fn in_terminal(folder: &TempDir, args: &str) -> String {
    let detfree = format!("{} {args}", env!("CARGO_BIN_EXE_detfree"));
    let output = Command::new("script")
        .current_dir(folder)
        .env("TERM", "xterm")
        .args(["--quiet", "--return", "--command", &detfree, "/dev/null"])
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    shown
}

/// Scoring is shown after training and on its own, but neither with --json nor where no one looks.
#[test]
fn scoring_is_shown() {
    let folder = TempDir::new().unwrap();
    let fit = "fit toy:moons --rows 200 --model residual --blocks 2 --epochs 2";
    assert!(in_terminal(&folder, fit).contains("scoring 10000 rows"));
    assert!(!in_terminal(&folder, &format!("{fit} --json")).contains("scoring"));
    let sample = "sample model.safetensors -n 5000 > rows.csv";
    in_terminal(&folder, sample);
    let score = "score model.safetensors rows.csv > scores.csv";
    assert!(in_terminal(&folder, score).contains("scoring 5000 rows"));
    let unseen = in_terminal(&folder, &format!("{score} 2> errors"));
    assert!(!unseen.contains("scoring"));
}
