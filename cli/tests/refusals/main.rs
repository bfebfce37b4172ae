//! Bad input: one clear line on stderr, exit code 2, and nothing written.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod options;
mod outputs;
mod tables;

use std::collections::BTreeMap;
use std::ffi::OsString;
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

/// The names in a folder with what files hold.
fn contents(folder: &Path) -> BTreeMap<OsString, Option<Vec<u8>>> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name(), fs::read(entry.path()).ok())
        })
        .collect()
}

/// The command fails with code 2 and one line that has every piece, and leaves the folder alone.
fn refuses(folder: &TempDir, args: &[&str], pieces: &[&str]) {
    let before = contents(folder.path());
    let output = detfree(folder.path(), args);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
    assert!(text.starts_with("detfree: error: "), "{text}");
    for piece in pieces {
        assert!(text.contains(piece), "{args:?}: no {piece:?} in {text}");
    }
    assert!(output.stdout.is_empty());
    assert!(contents(folder.path()) == before, "{args:?}");
}

/// Enough distinct rows of two columns.
fn table(line_12: &str) -> Vec<u8> {
    let mut text = "a,b\n".to_owned();
    for r in 0..30 {
        if r == 10 {
            text += line_12;
            text += "\n";
        } else {
            text += &format!("{}.5,{}.25\n", r, (r * r) % 31);
        }
    }
    text.into_bytes()
}
