//! Bad input: one clear line on stderr, exit code 2, and nothing written.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn detfree(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_detfree"))
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap()
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The command fails with code 2 and one line that has every piece, and leaves the folder alone.
fn refuses(folder: &TempDir, args: &[&str], pieces: &[&str]) {
    let before = names(folder.path());
    let output = detfree(folder.path(), args);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
    assert!(text.starts_with("detfree: error: "), "{text}");
    for piece in pieces {
        assert!(text.contains(piece), "{args:?}: no {piece:?} in {text}");
    }
    assert!(output.stdout.is_empty());
    assert_eq!(names(folder.path()), before, "{args:?}");
}

/// Enough distinct rows of two columns.
fn table(line_12: &str) -> Vec<u8> {
    let mut text = "a,b\n".to_owned();
    for r in 0..30 {
        if r == 10 {
            text += line_12;
            text += "\n";
        } else {
            text += &format!("{}.5,{}.25\n", r, (r * r) % 17);
        }
    }
    text.into_bytes()
}

#[test]
fn files_that_are_no_tables() {
    let folder = folder(&[
        ("empty.csv", b""),
        ("header.csv", b"a,b\n"),
        ("binary.csv", &[0, 159, 146, 150, 0, 1, 2, 255, 254]),
        ("ragged.csv", &table("1.5,2.5,3.5")),
        ("text.csv", &table("1.5,blue")),
        ("nan.csv", &table("1.5,NaN")),
        ("infinite.csv", &table("-inf,1.5")),
        ("missing.csv", &table("1.5,")),
        (
            "short.csv",
            b"a,b,c\n1.5,2.5,3.5\n2.5,1.5,0.5\n0.5,7.5,1.5\n2.5,3.5,9.5\n",
        ),
        ("truncated.csv.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1]),
    ]);
    fs::create_dir(folder.path().join("folder.csv")).unwrap();
    for (data, pieces) in [
        ("absent.csv", &["absent.csv", "no such file"][..]),
        ("folder.csv", &["folder.csv", "directory"]),
        ("empty.csv", &["empty.csv", "empty"]),
        ("header.csv", &["header.csv", "header"]),
        ("binary.csv", &["binary.csv"]),
        ("ragged.csv", &["ragged.csv", "12", "expected 2", "found 3"]),
        ("text.csv", &["text.csv", "12", "\"b\"", "blue"]),
        ("nan.csv", &["nan.csv", "12", "\"b\"", "NaN"]),
        ("infinite.csv", &["infinite.csv", "12", "\"a\"", "-inf"]),
        ("missing.csv", &["missing.csv", "12", "\"b\""]),
        ("short.csv", &["short.csv", "at least 5", "found 4"]),
        ("truncated.csv.gz", &["truncated.csv.gz"]),
        ("toy:donut", &["donut", "moons", "8gaussians"]),
    ] {
        refuses(&folder, &["fit", data], pieces);
    }
}

#[test]
fn constant_columns() {
    let mut text = "a,b\n".to_owned();
    for r in 0..30 {
        text += &format!("{r}.5,7\n");
    }
    let folder = folder(&[("constant.csv", text.as_bytes())]);
    refuses(
        &folder,
        &["fit", "constant.csv"],
        &["constant.csv", "\"b\"", "constant"],
    );
    // With noise of one unit the column has a spread.
    let output = detfree(
        folder.path(),
        &["fit", "constant.csv", "--dequantize", "--epochs", "2"],
    );
    assert!(output.status.success());
}

#[test]
fn options_out_of_range() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    for (option, value) in [
        ("--layers", "0"),
        ("--batch", "0"),
        ("--epochs", "0"),
        ("--lr", "nan"),
        ("--lr", "-1"),
        ("--lr", "inf"),
        ("--budget", "soon"),
        ("--budget", "0s"),
        ("--threads", "0"),
        ("--rows", "0"),
        ("--precision", "f16"),
        ("--model", "other"),
        ("--seed", "-1"),
        ("--preset", "rg-other"),
        ("--patience", "0"),
        ("--validation", "0"),
        ("--schedule", "linear"),
        ("--gradient", "ordinary"),
        ("--base", "cauchy"),
        ("--activation", "tanh"),
        ("--activation", "leaky-softplus:2"),
        ("--activation", "tanh-linear:1"),
        ("--optimiser", "lbfgs"),
        ("--optimiser", "momentum:1"),
        ("--logit", "0.5"),
    ] {
        refuses(
            &folder,
            &["fit", "good.csv", &format!("{option}={value}")],
            &[option, value],
        );
    }
    refuses(&folder, &["fit"], &["<DATA>"]);
    refuses(&folder, &["fut", "good.csv"], &["fut"]);
    refuses(&folder, &["sample", "m", "-n", "0"], &["0"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    fs::create_dir(folder.path().join("folder")).unwrap();
    // Found before training: a million epochs would take hours.
    for (option, path) in [
        ("--out", "absent/model.safetensors"),
        ("--out", "folder"),
        ("--out", "good.csv/model.safetensors"),
        ("--plot", "absent/density.png"),
        ("--plot", "folder"),
    ] {
        refuses(
            &folder,
            &["fit", "good.csv", "--epochs", "1000000", option, path],
            &[path],
        );
    }
}

#[test]
fn models_and_tables_that_do_not_fit() {
    let folder = folder(&[
        ("good.csv", &table("1.5,2.5")),
        ("wide.csv", b"a,b,c\n1.5,2.5,3.5\n"),
    ]);
    let path = folder.path();
    let output = detfree(path, &["fit", "good.csv", "--epochs", "2"]);
    assert!(output.status.success());
    let model = path.join("model.safetensors");
    let bytes = fs::read(&model).unwrap();
    fs::write(path.join("truncated"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(path.join("foreign"), b"PK\x03\x04 something else entirely").unwrap();
    let mut corrupt = bytes.clone();
    let last = corrupt.len() - 4;
    corrupt[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(path.join("corrupt"), corrupt).unwrap();

    refuses(
        &folder,
        &["score", "model.safetensors", "wide.csv"],
        &["wide.csv", "expected 2 columns", "found 3"],
    );
    refuses(
        &folder,
        &["score", "model.safetensors", "absent.csv"],
        &["absent.csv"],
    );
    for file in ["truncated", "foreign", "corrupt", "absent"] {
        refuses(&folder, &["score", file, "good.csv"], &[file]);
        refuses(&folder, &["sample", file, "-n", "3"], &[file]);
        refuses(&folder, &["info", file], &[file]);
    }
    refuses(
        &folder,
        &["fit", "good.csv", "--test", "wide.csv"],
        &["wide.csv", "expected 2 columns"],
    );
}

/// A learning rate that throws every weight away leaves no model, and a reason.
#[test]
fn divergence_before_any_model() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    refuses(
        &folder,
        &["fit", "good.csv", "--lr", "1e30"],
        &["diverged", "--lr"],
    );
}
