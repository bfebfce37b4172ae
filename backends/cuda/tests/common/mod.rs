//! A driver for the tests: the machine's own where `DETFREE_REQUIRE_DEVICE=1`, else the interpreter
//! of PTX that is a library of this project.
//!
//! The dynamic linker reads `LD_LIBRARY_PATH` when a program starts. So a test runs itself again,
//! with a folder in front where `libcuda.so.1` is the interpreter.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use detfree_cuda::{Cuda, CudaError, DeviceScalar};
use detfree_testsuite::Unavailable;

const REQUIRE_DEVICE: &str = "DETFREE_REQUIRE_DEVICE";

/// Set in the second run: the interpreter is where the driver would be.
const STAND_IN: &str = "DETFREE_STAND_IN";

/// The device that the interpreter calls itself.
const INTERPRETER: &str = "detfree PTX interpreter";

/// Whether these tests ask for a GPU.
pub(crate) fn device_required() -> bool {
    env::var_os(REQUIRE_DEVICE).is_some_and(|required| required == "1")
}

/// Runs `tests` where there is a driver.
pub(crate) fn with_driver(tests: impl FnOnce() -> ExitCode) -> ExitCode {
    if device_required() || env::var_os(STAND_IN).is_some() {
        return tests();
    }
    match again_with_interpreter() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("the tests cannot run on the interpreter of PTX: {error}");
            ExitCode::FAILURE
        }
    }
}

fn again_with_interpreter() -> Result<ExitCode, Box<dyn Error>> {
    let this = env::current_exe()?;
    let folder = folder_of(&this)?;
    let mut paths = vec![folder];
    if let Some(others) = env::var_os("LD_LIBRARY_PATH") {
        paths.extend(env::split_paths(&others));
    }
    let status = Command::new(this)
        .args(env::args_os().skip(1))
        .env("LD_LIBRARY_PATH", env::join_paths(paths)?)
        .env(STAND_IN, "1")
        .env("DETFREE_PTX_LEAKS", "abort")
        .status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A folder, for this test alone, where the names of the driver and of cuBLAS are links to the interpreter.
fn folder_of(this: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let deps = this.parent().ok_or("this test lies in no folder")?;
    // A dependency of this crate, so cargo built it beside this test.
    let interpreter = deps.join("libdetfree_ptx_interpreter.so");
    if !interpreter.exists() {
        return Err(format!(
            "{} is missing; `cargo test -p detfree-cuda` builds it",
            interpreter.display()
        )
        .into());
    }
    let mut name = OsString::from("stand-in-");
    name.push(this.file_name().ok_or("this test has no name")?);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder)?;
    for driver in ["libcuda.so", "libcuda.so.1", "libcublas.so"] {
        let link = folder.join(driver);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        symlink(&interpreter, link)?;
    }
    Ok(folder)
}

/// A backend with products by our own kernels.
pub(crate) fn own<T: DeviceScalar>() -> Result<Cuda<T>, Unavailable> {
    checked(Cuda::with_own_products(0))
}

/// The GPU that was asked for, and never the interpreter in its place; else never a GPU.
///
/// # Panics
/// Where the interpreter is not available: it is always there.
pub(crate) fn checked<T: DeviceScalar>(
    opened: Result<Cuda<T>, CudaError>,
) -> Result<Cuda<T>, Unavailable> {
    let opened = opened.and_then(|b| Ok((b.device()?, b)));
    let b = match opened {
        Ok((device, b)) if (device.name == INTERPRETER) != device_required() => Ok(b),
        Ok((device, _)) => Err(Unavailable::new(format!(
            "{device}: {REQUIRE_DEVICE}=1 asks for a GPU, and without it the interpreter runs the \
             tests"
        ))),
        Err(error) => Err(Unavailable::new(error.to_string())),
    };
    match b {
        Err(unavailable) if !device_required() => panic!("{unavailable}"),
        b => b,
    }
}
