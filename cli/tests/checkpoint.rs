//! A fit that is killed and resumed writes the file of one that was not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

fn detfree(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_detfree"));
    command.current_dir(folder).args(args);
    command
}

fn succeeds(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    errors
}

/// `args` at work, as soon as `file` is another one than before.
fn saved(folder: &Path, args: &[&str], file: &str) -> Child {
    let path = folder.join(file);
    let before = fs::read(&path).ok();
    let mut child = detfree(folder, args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while fs::read(&path).ok() == before {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(Instant::now() < patience, "no checkpoint in a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// Without warning.
fn kill(mut child: Child) {
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// The epoch in the first line of progress.
fn first_epoch(errors: &str) -> u32 {
    let line = errors.lines().find_map(|line| line.strip_prefix("epoch "));
    line.unwrap().split('/').next().unwrap().parse().unwrap()
}

fn killed_and_resumed(fit: &[&str]) {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let fit = [&["fit"], fit].concat();
    let whole = [&fit[..], &["--out", "whole"]].concat();
    let errors = succeeds(&detfree(folder, &whole).output().unwrap());
    assert_eq!(first_epoch(&errors), 1);

    let often = [
        "--checkpoint",
        "run",
        "--checkpoint-every",
        "100ms",
        "--out",
        "killed",
    ];
    let start = [&fit[..], &often].concat();
    let resume = [&start[..], &["--resume"]].concat();
    kill(saved(folder, &start, "run"));
    kill(saved(folder, &resume, "run"));
    assert!(!folder.join("killed").exists());
    let errors = succeeds(&detfree(folder, &resume).output().unwrap());
    assert!(first_epoch(&errors) > 1, "{errors}");
    let [whole, killed] = ["whole", "killed"].map(|name| fs::read(folder.join(name)).unwrap());
    assert!(whole == killed);

    // What has ended stays as it is.
    let errors = succeeds(&detfree(folder, &resume).output().unwrap());
    assert!(!errors.contains("epoch "), "{errors}");
    assert!(whole == fs::read(folder.join("killed")).unwrap());
}

#[test]
fn relative() {
    killed_and_resumed(&[
        "toy:moons",
        "--rows",
        "3000",
        "--layers",
        "20",
        "--epochs",
        "400",
        "--optimiser",
        "sgd",
        "--lr",
        "0.01",
    ]);
}

/// With everything that training remembers of a residual flow: moments, an average, spectral bounds,
/// sharpnesses, and the streams of its estimators.
#[test]
fn residual() {
    killed_and_resumed(&[
        "toy:moons",
        "--model",
        "residual",
        "--rows",
        "1000",
        "--blocks",
        "2",
        "--hidden",
        "16,16",
        "--epochs",
        "100",
        "--batch",
        "25",
        "--estimator",
        "roulette",
        "--ema",
        "0.99",
        "--clip",
        "1",
        "--warmup",
        "40",
    ]);
}

/// A budget ends a run where the next one goes on.
#[test]
fn budgets_add_up() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let fit = [
        "fit",
        "toy:rings",
        "--rows",
        "2000",
        "--epochs",
        "100000",
        "--patience",
        "100000",
        "--layers",
        "30",
    ];
    let run = ["--budget", "300ms", "--checkpoint", "run", "--resume"];
    let mut last = 0;
    for _ in 0..2 {
        let output = detfree(folder, &[&fit[..], &run].concat())
            .output()
            .unwrap();
        let first = first_epoch(&succeeds(&output));
        assert!(first > last);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("stopped by budget"), "{text}");
        let epochs = text.split(" epochs in").next().unwrap();
        let epochs = epochs.split(' ').next_back().unwrap().parse().unwrap();
        assert!(epochs >= first, "{epochs} {first}");
        last = epochs;
    }
}

/// Two runs would save over one another: the second is refused while the first is at work, under another
/// name of the file too, and what a killed one leaves behind keeps nobody out.
#[test]
fn one_run_at_a_time() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let fit = |checkpoint| {
        let data = ["fit", "toy:rings", "--rows", "2000", "--epochs", "100000"];
        let slow = ["--patience", "100000", "--layers", "30", "--budget"];
        let saves = ["--checkpoint-every", "100ms", "--checkpoint", checkpoint];
        move |budget, more: &[&'static str]| [&data[..], &slow, &[budget], &saves, more].concat()
    };
    let first = saved(folder, &fit("run")("60s", &[]), "run");
    #[cfg(unix)]
    std::os::unix::fs::symlink("run", folder.join("link")).unwrap();
    for (name, more) in [
        ("run", &[][..]),
        ("run", &["--resume"]),
        #[cfg(unix)]
        ("link", &["--resume"]),
    ] {
        let output = detfree(folder, &fit(name)("60s", more)).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        for piece in [name, "another run", "--checkpoint"] {
            assert!(errors.contains(piece), "{errors}");
        }
    }
    let other = fit("other")("300ms", &[]);
    succeeds(&detfree(folder, &other).output().unwrap());
    assert!(folder.join(".run.detfree-lock").exists());
    kill(first);

    let again = fit("run")("300ms", &["--resume"]);
    succeeds(&detfree(folder, &again).output().unwrap());
    let mut expected = vec!["model.safetensors", "other", "run"];
    if cfg!(unix) {
        expected.insert(0, "link");
    }
    // A run that is killed while it saves leaves half of a file under a name of its own.
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .filter(|name| !name.starts_with(".detfree-"))
        .collect();
    names.sort();
    assert_eq!(names, expected);
}
