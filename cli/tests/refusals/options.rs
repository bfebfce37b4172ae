//! Options that nothing is fitted with.

use std::fs;

use crate::{detfree, folder, refuses, table};

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
        ("--activation", "elu"),
        ("--activation", "lip-swish:0"),
        ("--activation", "relu"),
    ] {
        refuses(
            &folder,
            &["fit", "good.csv", &format!("{option}={value}")],
            &[option, value],
        );
    }
    for (option, value) in [
        ("--lipschitz", "1"),
        ("--lipschitz", "1.5"),
        ("--lipschitz", "0"),
        ("--lipschitz", "-0.9"),
        ("--lipschitz", "nan"),
        ("--blocks", "0"),
        ("--hidden", "64,0"),
        ("--hidden", "wide"),
        ("--hidden", ""),
        ("--clip", "0"),
        ("--clip", "-1"),
        ("--ema", "1"),
        ("--ema", "-0.1"),
        ("--warmup", "0"),
        ("--estimator", "best"),
        ("--estimator", "roulette:2"),
        ("--estimator", "roulette:2,often"),
        ("--estimator", "truncated:0"),
        ("--estimator", "truncated:x"),
        ("--activation", "identity"),
        ("--activation", "tanh-linear:1,0.1"),
        ("--activation", "relu"),
        ("--activation", "lip-swish:-1"),
        ("--hidden", "65537"),
        ("--estimator", "truncated:1001"),
        ("--estimator", "roulette:1001,0.9"),
        ("--estimator", "roulette:2,0.9999"),
        ("--checkpoint-every", "soon"),
    ] {
        let option_and_value = format!("{option}={value}");
        refuses(
            &folder,
            &["fit", "good.csv", "--model", "residual", &option_and_value],
            &[option],
        );
    }
    let lipschitz = ["fit", "good.csv", "--model", "residual", "--lipschitz", "1"];
    refuses(&folder, &lipschitz, &["between 0 and 1"]);
    // 0.9² = 0.81 is where the variance becomes infinite.
    let model = ["fit", "good.csv", "--model", "residual"];
    let uncertified = ["--estimator", "roulette:2,0.5"];
    refuses(
        &folder,
        &[&model[..], &uncertified].concat(),
        &["0.5", "0.81"],
    );
    refuses(&folder, &["fit"], &["<DATA>"]);
    refuses(&folder, &["fut", "good.csv"], &["'fut'", "'fit'"]);
    refuses(&folder, &["sample", "m", "-n", "0"], &["0"]);
    // The deviation of one row is none.
    refuses(
        &folder,
        &["fit", "good.csv", "--model", "residual", "--batch", "1"],
        &["--batch 1", "2 and more"],
    );
}

/// A negative number in an argument of its own is the option's value, and no option itself; what is no
/// option at all is named with the one that was meant.
#[test]
fn negative_numbers_and_misspellings() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    for (args, pieces) in [
        (
            &["fit", "good.csv", "--lr", "-1"][..],
            &["--lr", "'-1'"][..],
        ),
        (&["fit", "good.csv", "--seed", "-1"], &["--seed", "'-1'"]),
        (
            &["fit", "good.csv", "--clip", "-1e3"],
            &["--clip", "'-1e3'"],
        ),
        (&["fit", "good.csv", "--ema", "-0.1"], &["--ema", "'-0.1'"]),
        (&["sample", "m", "-n", "-5"], &["--rows", "'-5'"]),
        (
            &["score", "m", "good.csv", "--tol", "-1"],
            &["--tol", "'-1'"],
        ),
        (&["unmix", "good.csv", "--seed", "-1"], &["--seed", "'-1'"]),
        (&["fit", "good.csv", "--dequantise"], &["'--dequantize'"]),
        (
            &["fit", "good.csv", "--optimizer", "sgd"],
            &["'--optimiser'"],
        ),
    ] {
        refuses(&folder, args, pieces);
    }
}

/// Counts are written in digits, and no tip names a value that nothing takes.
#[test]
fn counts_and_tips() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    for args in [
        ["fit", "toy:moons", "--rows", "1e5"],
        ["fit", "good.csv", "--epochs", "1e5"],
        ["sample", "m", "-n", "1e5"],
    ] {
        refuses(&folder, &args, &["'1e5'", "a whole number in digits"]);
    }
    for option in ["--json", "--seed"] {
        let score = ["score", "m", "good.csv", option];
        refuses(&folder, &score, &[option, "unexpected"]);
        let said = String::from_utf8(detfree(folder.path(), &score).stderr).unwrap();
        assert!(!said.contains("tip"), "{said}");
    }
}

/// What no memory holds, and what no patience waits for, is refused with its limit.
#[test]
fn absurd_sizes() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    let cell = |r: u64, c: u64| format!("{}.5", (r + 1) * (c + 1) * 7919 % 1009);
    let row = |r| (0..200).map(|c| cell(r, c)).collect::<Vec<_>>().join(",") + "\n";
    let wide: String = (0..210).map(row).collect();
    fs::write(folder.path().join("wide.csv"), wide).unwrap();
    let residual = ["fit", "good.csv", "--model", "residual"];
    for (option, value, pieces) in [
        ("--hidden", "100000000,100000000", &["from 1 to 65536"][..]),
        (
            "--hidden",
            "65536,65536",
            &["34362 million", "250 million", "--blocks"],
        ),
        ("--estimator", "truncated:4294967295", &["from 1 to 1000"]),
        ("--estimator", "roulette:4294967295,0.9", &["up to 1000"]),
        ("--estimator", "roulette:2,0.9999999", &["up to 0.999"]),
        ("--blocks", "4294967295", &["1..=1000"]),
    ] {
        refuses(&folder, &[&residual[..], &[option, value]].concat(), pieces);
    }
    refuses(
        &folder,
        &["fit", "wide.csv", "--layers", "10000"],
        &["402 million parameters", "250 million", "fewer --layers"],
    );
    let batch = [
        "--rows", "1000000", "--batch", "900000", "--layers", "10000",
    ];
    refuses(
        &folder,
        &[&["fit", "toy:moons"], &batch[..]].concat(),
        &["900000 rows", "500 million", "smaller --batch"],
    );
}

/// Options that change nothing: of residual models for a relative one, of toys for a file.
#[test]
fn options_without_effect() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    let fitted = detfree(folder.path(), &["fit", "good.csv", "--epochs", "2"]);
    assert!(fitted.status.success());
    for option in [&["--tol", "1"][..], &["--exact"], &["--products", "9"]] {
        let score = ["score", "model.safetensors", "good.csv"];
        refuses(
            &folder,
            &[&score, option].concat(),
            &[option[0], "residual", "exact as they are"],
        );
    }
    let rows = ["fit", "good.csv", "--rows", "10"];
    refuses(&folder, &rows, &["--rows", "toys", "good.csv"]);
}

/// Options that a kind of model would ignore.
#[test]
fn options_of_the_other_kind_of_model() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    for (model, options) in [
        (
            "relative",
            &[
                &["--blocks", "3"][..],
                &["--hidden", "8"],
                &["--lipschitz", "0.5"],
                &["--ema", "0.9"],
                &["--warmup", "10"],
                &["--estimator", "exact"],
                &["--explain"],
            ][..],
        ),
        (
            "residual",
            &[
                &["--layers", "3"],
                &["--preset", "rg-toy"],
                &["--gradient", "plain"],
                &["--optimiser", "sgd"],
            ],
        ),
    ] {
        for option in options {
            refuses(
                &folder,
                &[&["fit", "good.csv", "--model", model], *option].concat(),
                &[option[0], "--model residual", "--model relative"],
            );
        }
    }
}

/// A learning rate that throws every weight away leaves no model, and a reason.
#[test]
fn divergence_before_any_model() {
    let folder = folder(&[("good.csv", &table("1.5,2.5"))]);
    for model in ["relative", "residual"] {
        refuses(
            &folder,
            &["fit", "good.csv", "--lr", "1e30", "--model", model],
            &["diverged", "--lr"],
        );
    }
}
