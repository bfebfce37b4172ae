//! What Ctrl-C does.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

fn start(folder: &TempDir, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_detfree"))
        .current_dir(folder)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn model(folder: &TempDir) -> PathBuf {
    folder.path().join("model.safetensors")
}

fn interrupt(child: Child) -> Output {
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(killed.success());
    child.wait_with_output().unwrap()
}

/// Training ends and the best model is kept: exit code 0, and the report says so.
#[test]
fn training_ends_and_the_model_is_kept() {
    let folder = TempDir::new().unwrap();
    let child = start(&folder, &["fit", "toy:rings", "--layers", "100", "--json"]);
    sleep(Duration::from_secs(3));
    let output = interrupt(child);
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["stopped_by"], "interrupt");
    let sample = start(&folder, &["sample", "model.safetensors", "-n", "3"]);
    let rows = String::from_utf8(sample.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(rows.lines().count(), 4);
}

/// Once the model is saved, the program ends, here among rows that take minutes to be scored.
#[test]
fn a_report_ends() {
    let folder = TempDir::new().unwrap();
    // The fractional parts of multiples of the golden ratio.
    let number = |i: usize| (i as f64 * 0.618_033_988_749_895).fract().to_string();
    let row = |r: usize| {
        let numbers: Vec<_> = (1..=320).map(|c| number(321 * r * c + c)).collect();
        numbers.join(",") + "\n"
    };
    for (name, rows) in [("data.csv", 0..400_usize), ("test.csv", 400..4400)] {
        let table: String = rows.map(row).collect();
        fs::write(folder.path().join(name), table).unwrap();
    }
    let arguments = "fit data.csv --test test.csv --model residual --epochs 1";
    let mut child = start(&folder, &arguments.split(' ').collect::<Vec<_>>());
    while !model(&folder).exists() {
        assert!(child.try_wait().unwrap().is_none());
        sleep(Duration::from_millis(20));
    }
    sleep(Duration::from_millis(500));
    assert_eq!(interrupt(child).status.code(), Some(130));
}
