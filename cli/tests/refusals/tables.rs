//! Tables that nothing is fitted to.

use std::fs;

use crate::{detfree, folder, refuses, table};

#[test]
fn files_that_are_no_tables() {
    let folder = folder(&[
        ("empty.csv", b""),
        ("header.csv", b"a,b\n"),
        ("one_row.csv", b"a,b\n1.5,2.5\n"),
        ("one_number.csv", b"a\n1.5\n"),
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
        ("one_row.csv", &["one_row.csv", "at least 4", "found 1"]),
        ("one_number.csv", &["one_number.csv", "found 1"]),
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
        refuses(&folder, &["fit", data, "--model", "residual"], pieces);
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
