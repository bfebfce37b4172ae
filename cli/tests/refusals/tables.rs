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
    for args in [
        ["unmix", "toy:moons"].as_slice(),
        &["fit", "toy:moons", "--test", "toy:moons"],
    ] {
        refuses(&folder, args, &["toy:moons", "only the DATA of fit"]);
    }
    refuses(&folder, &["fit", "-", "--test", "-"], &["--test", "once"]);
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

/// Where a column's variance is no number, that column is named.
#[test]
fn columns_that_cannot_be_standardised() {
    let row = |r: u32| format!("{}.5,{}e307\n", r, f64::from(r % 31) - 15.25);
    let rows: String = (0..30).map(row).collect();
    let folder = folder(&[("huge.csv", format!("a,b\n{rows}").as_bytes())]);
    // Numbers so large are whole as well, of which there is a warning.
    let output = detfree(folder.path(), &["fit", "huge.csv"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let error = "detfree: error: the numbers in column \"b\" of huge.csv are too close together, or too \
                 large, to be standardised";
    assert_eq!(output.status.code(), Some(2));
    assert!(said.lines().last().unwrap().starts_with(error), "{said}");
}

/// Columns are told apart by their names: a file with others, or with the same ones in another order,
/// would have figures of nothing. Without a header it is taken as it is.
#[test]
fn columns_of_other_names() {
    let renamed = |header: &str| {
        let text = String::from_utf8(table("1.5,2.5")).unwrap();
        text.replacen("a,b\n", header, 1).into_bytes()
    };
    let folder = folder(&[
        ("good.csv", &renamed("a,b\n")),
        ("reversed.csv", &renamed("b,a\n")),
        ("other.csv", &renamed("a,c\n")),
        ("plain.csv", &renamed("")),
        ("default.csv", &renamed("x0,x1\n")),
        ("reversed_default.csv", &renamed("x1,x0\n")),
    ]);
    let fit = ["fit", "good.csv", "--epochs", "2"];
    assert!(detfree(folder.path(), &fit).status.success());
    let score = ["score", "model.safetensors"];
    for (file, pieces) in [
        (
            "reversed.csv",
            &[
                "another order",
                "expected \"a\", \"b\"",
                "found \"b\", \"a\"",
            ][..],
        ),
        ("other.csv", &["column 2 is \"c\"", "expected \"b\""]),
        ("default.csv", &["column 1 is \"x0\"", "expected \"a\""]),
    ] {
        let pieces = [pieces, &[file]].concat();
        refuses(&folder, &[&score[..], &[file]].concat(), &pieces);
        refuses(&folder, &[&fit[..], &["--test", file]].concat(), &pieces);
    }
    for file in ["plain.csv", "good.csv"] {
        let scored = detfree(folder.path(), &[&score[..], &[file]].concat());
        assert!(scored.status.success());
        let tested = detfree(folder.path(), &[&fit[..], &["--test", file]].concat());
        assert!(tested.status.success());
    }
    let fit = ["fit", "plain.csv", "--epochs", "2"];
    assert!(detfree(folder.path(), &fit).status.success());
    for file in ["reversed.csv", "other.csv", "plain.csv", "default.csv"] {
        let scored = detfree(folder.path(), &[&score[..], &[file]].concat());
        assert!(scored.status.success());
    }
    // Names of columns without names are names where a header gives them.
    let pieces = ["another order", "found \"x1\", \"x0\""];
    for file in ["plain.csv", "default.csv"] {
        let fit = ["fit", file, "--epochs", "2", "--test"];
        refuses(
            &folder,
            &[&fit[..], &["reversed_default.csv"]].concat(),
            &pieces,
        );
        let tested = detfree(folder.path(), &[&fit[..], &["plain.csv"]].concat());
        assert!(tested.status.success());
        refuses(
            &folder,
            &[&score[..], &["reversed_default.csv"]].concat(),
            &pieces,
        );
    }
    let fit = ["fit", "default.csv", "--test", "good.csv"];
    refuses(&folder, &fit, &["column 1 is \"a\"", "expected \"x0\""]);
}

/// A model of whole numbers adds its noise to nothing else.
#[test]
fn fractions_where_whole_numbers_were() {
    let rows = |last: &str| {
        let whole: String = (0..30).map(|r| format!("{r}.5,{}\n", r * r % 17)).collect();
        format!("a,b\n{whole}{last}\n").into_bytes()
    };
    let folder = folder(&[
        ("whole.csv", &rows("1.5,2")),
        ("half.csv", &rows("1.5,2.5")),
    ]);
    let fit = ["fit", "whole.csv", "--dequantize", "--epochs", "2"];
    assert!(detfree(folder.path(), &fit).status.success());
    let pieces = [
        "half.csv",
        "row 31",
        "column \"b\"",
        "2.5 is no whole number",
    ];
    refuses(
        &folder,
        &["score", "model.safetensors", "half.csv"],
        &pieces,
    );
    refuses(
        &folder,
        &[&fit[..], &["--test", "half.csv"]].concat(),
        &pieces,
    );
}

/// Where columns depend on one another exactly a density is infinite: that is said, with their names.
#[test]
fn dependent_columns() {
    let rows = |c: fn(f64, f64) -> f64| {
        let row = |r: i32| {
            let [a, b] = [f64::from(r * 7919 % 101), f64::from(r * r % 17) + 0.5];
            format!("{a},{b},{}\n", c(a, b))
        };
        ("a,b,c\n".to_owned() + &(0..60).map(row).collect::<String>()).into_bytes()
    };
    let folder = folder(&[
        ("multiple.csv", &rows(|a, _| 0.1 * a)),
        ("sum.csv", &rows(|a, b| 0.3 * a - b)),
        ("product.csv", &rows(|a, b| a * b + 0.25)),
    ]);
    let said = |file, more: &[&str]| {
        let fit = ["fit", file, "--epochs", "1"];
        let output = detfree(folder.path(), &[&fit, more].concat());
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for file in ["multiple.csv", "sum.csv"] {
        let said = said(file, &[]);
        let warning = "column \"c\" of ";
        assert!(said.contains("warning") && said.contains(warning), "{said}");
    }
    assert!(!said("product.csv", &[]).contains("linear"));
}

/// A row with a cell that is no number is not lost for a header, and what the first line was taken for is
/// said.
#[test]
fn first_lines() {
    let rows = String::from_utf8(table("1.5,2.5")).unwrap();
    let with = |first: &str| rows.replacen("a,b\n", first, 1).into_bytes();
    let folder = folder(&[
        ("half.csv", &with("1.5,oops\n")),
        ("header.csv", &with("a,b\n")),
        ("plain.csv", &with("2019,2021\n")),
        ("years.csv", &with("2019,2020\n")),
        ("missing.csv", &with("NA,NA\n")),
    ]);
    let counts = [
        "years.csv: line 1",
        "from 2019 to 2020",
        "names that are no numbers",
    ];
    let missing = ["missing.csv: line 1", "\"NA\" stands for a missing value"];
    let pieces = ["half.csv: line 1", "\"oops\" is not a number", "\"1.5\""];
    for command in ["fit", "unmix"] {
        refuses(&folder, &[command, "half.csv"], &pieces);
        refuses(&folder, &[command, "years.csv"], &counts);
        refuses(&folder, &[command, "missing.csv"], &missing);
    }
    for (file, taken) in [
        ("header.csv", "2 columns named by its first line\n"),
        (
            "plain.csv",
            "2 columns without names, its first line is a row\n",
        ),
    ] {
        for args in [&["fit", file, "--epochs", "1"][..], &["unmix", file]] {
            let output = detfree(folder.path(), args);
            let report = String::from_utf8(output.stdout).unwrap();
            assert!(report.contains(taken), "{report}");
        }
    }
}
