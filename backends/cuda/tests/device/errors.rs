//! What goes wrong is an error that says what to do.

use std::env;
use std::process::{Command, ExitCode};
use std::thread;

use detfree_core::{Allocate, Backend, Fill, Shape};
use detfree_cuda::{Cuda, CudaError, DeviceScalar};
use libtest_mimic::Completion;

use crate::{common, read};

/// Set in a process that only says what `discover` answers.
const PROBE: &str = "DETFREE_PROBE_FOR_A_DRIVER";

/// In the process of a probe: its answer.
pub(crate) fn probe() -> Option<ExitCode> {
    env::var_os(PROBE)?;
    match Cuda::<f32>::discover() {
        Err(error @ CudaError::NoDriver) => println!("{error}"),
        Err(error) => println!("another error: {error}"),
        Ok(b) => println!("a device: {}", b.device().unwrap()),
    }
    Some(ExitCode::SUCCESS)
}

/// A process of its own, without the interpreter's folder in front.
pub(crate) fn no_driver() -> Completion {
    let probe = Command::new(env::current_exe().unwrap())
        .env(PROBE, "1")
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .unwrap();
    let answer = String::from_utf8(probe.stdout).unwrap();
    assert!(probe.status.success(), "{answer}");
    if !answer.starts_with("no CUDA driver") {
        return Completion::ignored_with(format!("this machine has a driver: {answer}"));
    }
    assert!(answer.contains("libcuda.so") && answer.contains("install the NVIDIA driver"));
    Completion::Completed
}

pub(crate) fn no_such_device() {
    let Err(CudaError::NoDevice { ordinal: 99, count }) = Cuda::<f32>::new(99) else {
        panic!("there is no device 99");
    };
    assert!((1..99).contains(&count));
    let message = Cuda::<f32>::new(99).unwrap_err().to_string();
    assert!(message.contains("CUDA_VISIBLE_DEVICES"), "{message}");
}

/// A driver of before the pools of memory, at which cudarc would stop without saying why.
pub(crate) fn old_driver() -> Completion {
    if common::device_required() {
        return Completion::ignored_with("the interpreter poses as an old driver");
    }
    let probe = Command::new(env::current_exe().unwrap())
        .env(PROBE, "1")
        .env("DETFREE_PTX_DRIVER", "11010")
        .output()
        .unwrap();
    let answer = String::from_utf8(probe.stdout).unwrap();
    assert!(
        probe.status.success() && answer.contains("version 11.1, and 11.2 or more is needed"),
        "{answer}"
    );
    Completion::Completed
}

/// A thread that has called nothing has no context: memory, handles and kernels go back all the same,
/// and no later call gets an error of theirs.
pub(crate) fn dropped_elsewhere<T: DeviceScalar>() {
    let b = common::own::<T>().unwrap();
    let shape = Shape::new(2, 3);
    let mut kept = b.batch(shape).unwrap();
    let gone = (b.batch(shape).unwrap(), b.rows(4).unwrap());
    thread::spawn(move || drop(gone)).join().unwrap();
    b.fill(Fill::Constant(0.5), &mut kept).unwrap();
    thread::spawn(move || drop(b)).join().unwrap();
    assert_eq!(read(&common::own::<T>().unwrap(), &kept), [0.5; 6]);
}

/// Petabytes; and then the device works on.
pub(crate) fn out_of_memory<T: DeviceScalar>() {
    let b = common::own::<T>().unwrap();
    let most = i32::MAX as usize;
    for shape in [Shape::new(most, 1 << 20), Shape::new(most, most)] {
        let error = b.batch(shape).unwrap_err();
        assert!(matches!(error, CudaError::OutOfMemory { .. }), "{error}");
        assert!(error.to_string().contains("fewer rows"), "{error}");
    }
    for shape in [Shape::new(0, 3), Shape::new(3, 0), Shape::new(most + 1, 1)] {
        let error = b.batch(shape).unwrap_err();
        assert!(matches!(error, CudaError::Extent { .. }), "{error}");
    }
    let mut x = b.batch(Shape::new(2, 3)).unwrap();
    b.fill(Fill::Constant(0.5), &mut x).unwrap();
    assert_eq!(read(&b, &x), [0.5; 6]);
}

pub(crate) fn operands<T: DeviceScalar>() {
    let b = common::own::<T>().unwrap();
    let [x, mut y] = [Shape::new(4, 1), Shape::new(1, 3)].map(|shape| b.batch(shape).unwrap());
    let error = b.axpy(0..1, 1.0, &x, &mut y).unwrap_err();
    assert!(error.to_string().starts_with("axpy: "), "{error}");
}
