//! What `fit` says of data whose likelihood means little.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Stderr of `fit FILE --epochs 1 …`, where the file has these rows of columns a and b.
fn said(row: impl Fn(u32) -> String, options: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..200).map(|r| row(r) + "\n").collect();
    fs::write(folder.path().join("t.csv"), format!("a,b\n{rows}")).unwrap();
    said_of(&folder, "t.csv", options)
}

fn said_of(folder: &TempDir, file: &str, options: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_detfree"))
        .current_dir(folder)
        .args(["fit", file, "--epochs", "1"])
        .args(options)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// Distinct fractions in an order of their own.
fn fraction(r: u32) -> f64 {
    f64::from(r * 7919 % 1009) / 1009.0
}

#[test]
fn repeated_values() {
    let zero_inflated = |r: u32| match r % 2 {
        0 => format!("0,{}", fraction(r)),
        _ => format!("{},{}", fraction(3 * r), fraction(r)),
    };
    let grid = |r: u32| format!("{},{}", f64::from(r * r % 17) / 4.0, fraction(r));
    let warning = "warning: column \"a\" of t.csv holds the same values in many rows";
    for options in [&[][..], &["--dequantize"]] {
        assert!(said(zero_inflated, options).contains(warning));
        assert!(said(grid, options).contains(warning));
    }
    // Whole numbers have a warning of their own, and none with noise.
    let whole = |r: u32| format!("{},{}", r % 9, fraction(r));
    let text = said(whole, &[]);
    assert!(
        text.contains("only whole numbers") && !text.contains("same values"),
        "{text}"
    );
    assert!(!said(whole, &["--dequantize"]).contains("warning: column"));
}

/// Eruptions were timed to the second; too few last equally long for a warning.
#[test]
fn measurements_with_some_ties() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faithful.csv");
    let file = file.display().to_string();
    let folder = TempDir::new().unwrap();
    let text = said_of(&folder, &file, &["--dequantize"]);
    assert!(!text.contains("warning: column"), "{text}");
    let text = said_of(&folder, &file, &[]);
    assert!(
        text.contains("column \"waiting\"") && !text.contains("eruptions"),
        "{text}"
    );
}

#[test]
fn dequantize_without_whole_numbers() {
    let fractions = |r: u32| format!("{},{}", fraction(r), fraction(3 * r + 1));
    let warning =
        "warning: --dequantize adds noise to columns of whole numbers, and t.csv has none";
    assert!(said(fractions, &["--dequantize"]).contains(warning));
    assert!(!said(fractions, &[]).contains("--dequantize"));
    let whole = |r: u32| format!("{r},{}", fraction(r));
    assert!(!said(whole, &["--dequantize"]).contains("has none"));
}
