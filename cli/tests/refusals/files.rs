//! Files that are not read.

use std::fs;
use std::path::Path;

use crate::{detfree, folder, refuses, table};

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

/// A relative flow whose weights have been changed: one has no inverse, exactly or but for rounding; or all
/// are so small that samples overflow. There are no infinite or NaN ones, and the layer is named.
#[test]
fn weights_without_inverse() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    let path = folder.path();
    let fit = ["fit", "good.csv", "--epochs", "2", "--precision", "f64"];
    assert!(detfree(path, &fit).status.success());
    let mut bytes = without_checksum(&path.join("model.safetensors"));
    let mut set = |layer: usize, weight: [f64; 4]| {
        let first = first_of(&bytes, &format!("layer.{layer}.weight"));
        for (i, x) in weight.iter().enumerate() {
            bytes[first + 8 * i..][..8].copy_from_slice(&x.to_le_bytes());
        }
        fs::write(path.join("changed"), &bytes).unwrap();
    };
    let sample = ["sample", "changed", "-n", "3"];
    for weight in [[1.0, 2.0, 2.0, 4.0], [0.0; 4], [0.3, 0.7, 0.9, 2.1]] {
        set(2, weight);
        let pieces = ["changed: a corrupt model file", "layer 2", "singular"];
        refuses(&folder, &sample, &pieces);
        refuses(&folder, &["score", "changed", "good.csv"], &pieces);
    }
    set(1, [1e-200, 0.0, 0.0, 1e-200]);
    set(2, [1e-250, 0.0, 0.0, 1e-250]);
    refuses(
        &folder,
        &sample,
        &["no finite numbers", "layer 2", "1e-250"],
    );
}

/// A residual flow whose file has been changed so that a block may have no inverse, or holds no
/// numbers; exact figures that cost more than they may.
#[test]
fn residual_models_that_cannot_be_used() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    let path = folder.path();
    let fit = ["fit", "good.csv", "--model", "residual", "--epochs", "2"];
    assert!(detfree(path, &fit).status.success());
    let model = path.join("model.safetensors");
    let bytes = without_checksum(&model);
    let first = first_of(&bytes, "block.0.layer.0.weight");
    let with = |number: f32| {
        let mut bytes = bytes.clone();
        bytes[first..first + 4].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    fs::write(path.join("steep"), with(1e3)).unwrap();
    fs::write(path.join("nan"), with(f32::NAN)).unwrap();
    for (file, piece) in [
        ("steep", "no inverse"),
        ("nan", "block 0: a number is not finite"),
    ] {
        refuses(&folder, &["score", file, "good.csv"], &["corrupt", piece]);
        refuses(&folder, &["sample", file, "-n", "3"], &["corrupt", piece]);
    }
    let score = ["score", "model.safetensors", "good.csv", "--exact"];
    refuses(
        &folder,
        &[&score[..], &["--products", "5"]].concat(),
        &["16 products", "--products", "--tol"],
    );
    refuses(&folder, &[&score[..], &["--tol", "1"]].concat(), &["--tol"]);
    for value in ["0", "-1", "nan", "inf"] {
        let tol = format!("--tol={value}");
        refuses(
            &folder,
            &["score", "model.safetensors", "good.csv", &tol],
            &["--tol", value],
        );
    }
}

/// A checkpoint is neither lost by accident nor taken for that of another run.
#[test]
fn checkpoints_of_other_runs() {
    let folder = folder(&[
        ("good.csv", &table("1.5,2.5")),
        ("other.csv", &table("1.5,2.25")),
        ("foreign", b"PK\x03\x04 something else entirely"),
    ]);
    fs::create_dir(folder.path().join("folder")).unwrap();
    let path = folder.path();
    let fit = ["fit", "good.csv", "--epochs", "2", "--checkpoint"];
    let output = detfree(path, &[&fit[..], &["run"]].concat());
    assert!(output.status.success());
    refuses(
        &folder,
        &[&fit[..], &["run"]].concat(),
        &["run", "--resume", "remove it"],
    );
    refuses(&folder, &[&fit[..], &["folder"]].concat(), &["folder"]);
    refuses(
        &folder,
        &[&fit[..], &["absent/run"]].concat(),
        &["absent/run"],
    );
    refuses(&folder, &["fit", "good.csv", "--resume"], &["--checkpoint"]);
    let model = fs::read(path.join("model.safetensors")).unwrap();
    fs::write(path.join("model"), model).unwrap();
    for (file, piece) in [
        ("foreign", "not a checkpoint"),
        ("model", "not a checkpoint"),
    ] {
        refuses(
            &folder,
            &[&fit[..], &[file, "--resume"]].concat(),
            &[file, piece],
        );
    }
    for (option, piece) in [
        (&["--seed", "1"][..], "its checksum of training data is"),
        (&["--lr", "0.5"], "learning rate is"),
        (&["--batch", "3"], "batch is 50, here it is 3"),
        (&["--layers", "2"], "another run"),
        (
            &["--base", "secant"],
            "base density is normal, here it is hyperbolic-secant",
        ),
        (
            &["--optimiser", "momentum:0.5"],
            "optimiser is adam, here it is momentum:0.5",
        ),
        (
            &["--activation", "tanh-linear:1.5,0.2"],
            "activation is leaky-softplus:0.3, here it is tanh-linear:1.5,0.2",
        ),
        (
            &["--precision", "f64"],
            "number type is f32, here it is f64",
        ),
    ] {
        let resume = [&fit[..], &["run", "--resume"], option].concat();
        refuses(
            &folder,
            &resume,
            &["run", "another run", piece, "same data and options"],
        );
    }
    // Two shards and one differ in the last digits.
    let residual = [
        "fit",
        "toy:moons",
        "--model",
        "residual",
        "--rows",
        "500",
        "--epochs",
        "1",
        "--blocks",
        "1",
        "--hidden",
        "8",
        "--checkpoint",
        "residual.run",
    ];
    let two = [&residual[..], &["--threads", "2"]].concat();
    assert!(detfree(path, &two).status.success());
    let one = [&residual[..], &["--threads", "1", "--resume"]].concat();
    refuses(
        &folder,
        &one,
        &[
            "residual.run",
            "number of shards is 2, here it is 1",
            "--threads among them",
        ],
    );
    let other = [&two[..], &["--resume", "--activation", "lip-swish"]].concat();
    refuses(
        &folder,
        &other,
        &["its activation is sine, here it is lip-swish;"],
    );
    // Of the settings of training, those that differ.
    let other = ["--threads", "2", "--resume", "--clip", "3", "--estimator"];
    for (estimator, in_words) in [
        (
            "roulette",
            "roulette (1 rademacher probe, tr J in closed form)",
        ),
        (
            "roulette:2,0.9",
            "roulette:2,0.9 (1 rademacher probe, tr J in closed form)",
        ),
        (
            "truncated:7",
            "truncated:7 (1 rademacher probe, tr J in closed form)",
        ),
        ("exact", "exact"),
        ("paper", "paper (1 gaussian probe)"),
    ] {
        let other = [&residual[..], &other, &[estimator]].concat();
        let pieces = [&format!(
            "another run: its estimator is auto, here it is {in_words}; its clip is none, here it is \
                 3; resume with"
        )[..]];
        refuses(&folder, &other, &pieces);
    }
    let other = ["fit", "other.csv", "--checkpoint", "run", "--resume"];
    refuses(&folder, &other, &["run", "data"]);
    fs::write(
        path.join("good.csv"),
        [table("1.5,2.5"), b"1,2\n3,4\n5,6\n7,8\n9,0\n".to_vec()].concat(),
    )
    .unwrap();
    let longer = [&fit[..], &["run", "--resume"]].concat();
    let pieces = ["data is 24 rows of 2 columns, here it is 29 rows of 2 columns;"];
    refuses(&folder, &longer, &pieces);
}

/// Where the numbers of a tensor begin in a safetensors file.
fn first_of(file: &[u8], tensor: &str) -> usize {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let start = header[tensor]["data_offsets"][0].as_u64().unwrap();
    8 + length + start as usize
}

/// A model file whose numbers may be changed: with another name for the entry of its checksum.
fn without_checksum(model: &Path) -> Vec<u8> {
    let mut bytes = fs::read(model).unwrap();
    let name = b"checksum";
    let at = bytes.windows(name.len()).position(|found| found == name);
    bytes[at.unwrap()..][..name.len()].copy_from_slice(b"nothing!");
    bytes
}
