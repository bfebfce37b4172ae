//! `--backend cuda`: on an interpreter of its kernels in the place of a driver, and without a device.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_detfree"));
    // Whatever device the machine has.
    command.args(args).env("CUDA_VISIBLE_DEVICES", "");
    command
}

fn faithful() -> String {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faithful.csv");
    data.display().to_string()
}

/// `fit` on a device, of this table to this model.
fn fit<'a>(data: &'a str, out: &'a str) -> [&'a str; 7] {
    [
        "fit",
        data,
        "--dequantize",
        "--backend",
        "cuda",
        "--out",
        out,
    ]
}

fn refused(output: &Output, pieces: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    // The interpreter says things of its own.
    let ours = errors.lines().filter(|line| line.starts_with("detfree: "));
    assert_eq!(ours.count(), 1, "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    for piece in pieces {
        assert!(errors.contains(piece), "{piece}: {errors}");
    }
}

/// A fit that cannot begin says why, and leaves nothing behind.
#[test]
fn without_a_device_there_is_no_model() {
    let place = TempDir::new().unwrap();
    let model: PathBuf = place.path().join("m.safetensors");
    let (data, out) = (faithful(), model.display().to_string());
    let fit = fit(&data, &out);
    let expected = match cfg!(feature = "cuda") {
        true => "no CUDA d",
        false => "build with --features cuda",
    };
    refused(&command(&fit).output().unwrap(), &[expected]);
    assert!(!model.exists());
    let backends = command(&["backends"]).output().unwrap();
    let lines = String::from_utf8(backends.stdout).unwrap();
    let cuda = lines.lines().find(|line| line.starts_with("cuda")).unwrap();
    assert!(cuda.contains(expected), "{lines}");
    assert!(lines.starts_with("faer"), "{lines}");
}

#[cfg(all(feature = "cuda", target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod on_the_interpreter {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder in which the interpreter has the driver's name.
    fn driver() -> TempDir {
        let folder = TempDir::new().unwrap();
        let test = std::env::current_exe().unwrap();
        let interpreter = test.with_file_name("libdetfree_ptx_interpreter.so");
        assert!(interpreter.exists(), "{}", interpreter.display());
        for name in ["libcuda.so", "libcuda.so.1"] {
            symlink(&interpreter, folder.path().join(name)).unwrap();
        }
        folder
    }

    fn on(driver: &TempDir, args: &[&str]) -> Command {
        let mut command = command(args);
        command.env("LD_LIBRARY_PATH", driver.path());
        command.env("DETFREE_PTX_LEAKS", "abort");
        command
    }

    fn stdout(command: &mut Command) -> String {
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn figures(csv: &str) -> Vec<f64> {
        let figure = |line: &str| line.split(',').next().unwrap().parse().unwrap();
        csv.lines().skip(1).map(figure).collect()
    }

    /// Both kinds of model are trained, scored and sampled; the processors score them alike.
    #[test]
    fn models_of_both_kinds_are_fitted_and_scored() {
        let (driver, data) = (driver(), faithful());
        let model = driver.path().join("m.safetensors").display().to_string();
        let relative = ["--layers", "3", "--epochs", "2"];
        let residual = [
            "--model", "residual", "--blocks", "2", "--hidden", "8", "--epochs", "2",
        ];
        for kind in [&relative[..], &residual] {
            stdout(&mut on(&driver, &[&fit(&data, &model)[..], kind].concat()));
            let score = ["score", &model, &data];
            let there = stdout(&mut on(
                &driver,
                &[&score[..], &["--backend", "cuda"]].concat(),
            ));
            let here = stdout(&mut command(&score));
            let (there, here) = (figures(&there), figures(&here));
            assert_eq!(there.len(), 272);
            for (there, here) in there.iter().zip(here) {
                // Single precision; sums of a dozen numbers of about 10.
                assert!((there - here).abs() < 1e-4, "{there} {here}");
            }
            let sample = ["sample", &model, "-n", "5", "--backend", "cuda"];
            assert_eq!(stdout(&mut on(&driver, &sample)).lines().count(), 6);
        }
    }

    #[test]
    fn the_device_is_described() {
        let lines = stdout(&mut on(&driver(), &["backends"]));
        let cuda = lines.lines().find(|line| line.starts_with("cuda")).unwrap();
        for piece in ["available: device 0", "interpreter", "GiB", "own kernels"] {
            assert!(cuda.contains(piece), "{cuda}");
        }
    }

    /// A device without room for the model leaves the model that was there.
    #[test]
    fn a_full_device_ends_the_fit_and_nothing_else() {
        let (driver, data) = (driver(), faithful());
        let model = driver.path().join("m.safetensors");
        fs::write(&model, "what was there").unwrap();
        let out = model.display().to_string();
        let output = on(&driver, &fit(&data, &out))
            .env("DETFREE_PTX_MEMORY", "4200000")
            .output()
            .unwrap();
        refused(&output, &["out of memory"]);
        assert_eq!(fs::read_to_string(&model).unwrap(), "what was there");
    }
}
