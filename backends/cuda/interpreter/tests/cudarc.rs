//! A cudarc program, unmodified, with the interpreter in place of the driver.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking, in their helpers too"
)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DriverError, LaunchConfig, PushKernelArg,
};
use cudarc::nvrtc::Ptx;

const PTX: &str = include_str!("ptx/programs.ptx");

/// Tells the child process apart from its parent.
const CHILD: &str = "DETFREE_PTX_CHILD";

fn library() -> PathBuf {
    let deps = env::current_exe().unwrap();
    let deps = deps.parent().unwrap();
    let name = "libdetfree_ptx_interpreter.so";
    [deps.join(name), deps.join("..").join(name)]
        .into_iter()
        .find(|path| path.exists())
        .expect("the library lies beside the tests")
}

/// Runs the test of that name again, in a process that finds the interpreter as its driver.
fn in_child(test: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).unwrap();
    let link = folder.join("libcuda.so.1");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(library().canonicalize().unwrap(), &link).unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("LD_LIBRARY_PATH", &folder)
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

#[test]
fn a_program_of_cudarc_runs() {
    if !is_child() {
        let (fine, text) = in_child(
            "a_program_of_cudarc_runs",
            &[("DETFREE_PTX_LEAKS", "abort")],
        );
        assert!(fine, "{text}");
        assert!(text.contains("1 passed"), "{text}");
        return;
    }
    let context = CudaContext::new(0).unwrap();
    assert_eq!(context.name().unwrap(), "detfree PTX interpreter");
    assert_eq!(context.compute_capability().unwrap(), (7, 5));
    let module = context.load_module(Ptx::from_src(PTX)).unwrap();
    let axpy = module.load_function("axpy").unwrap();
    for stream in [context.default_stream(), context.new_stream().unwrap()] {
        let n = 1000;
        let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
        let x = stream.clone_htod(&x).unwrap();
        let mut y = stream.alloc_zeros::<f32>(n).unwrap();
        let start = context.new_event(None).unwrap();
        start.record(&stream).unwrap();
        for _ in 0..2 {
            // SAFETY: these are the kernel's parameters.
            #[expect(unsafe_code, reason = "cudarc cannot check the arguments of a launch")]
            unsafe {
                stream
                    .launch_builder(&axpy)
                    .arg(&0.5_f32)
                    .arg(&x)
                    .arg(&mut y)
                    .arg(&(n as u32))
                    .launch(LaunchConfig::for_num_elems(n as u32))
            }
            .unwrap();
        }
        stream.synchronize().unwrap();
        let y = stream.clone_dtoh(&y).unwrap();
        assert!(y.iter().enumerate().all(|(i, &y)| y == i as f32));
    }
}

/// The code of an error.
fn code<T>(result: Result<T, DriverError>) -> CUresult {
    result.err().expect("an error").0
}

#[test]
fn errors_of_a_kernel_stay() {
    let name = "errors_of_a_kernel_stay";
    if !is_child() {
        let (fine, text) = in_child(name, &[]);
        assert!(fine, "{text}");
        // What is wrong, where, and whose: on stderr.
        for words in [
            "OutOfBounds in kernel axpy",
            "block [0, 0, 0], thread [8, 0, 0]",
            "PTX line",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        return;
    }
    let context = CudaContext::new(0).unwrap();
    let module = context.load_module(Ptx::from_src(PTX)).unwrap();
    let axpy = module.load_function("axpy").unwrap();
    let stream = context.default_stream();
    let x = stream.alloc_zeros::<f32>(8).unwrap();
    let mut y = stream.alloc_zeros::<f32>(8).unwrap();
    let mut launch = |n: u32| {
        // SAFETY: these are the kernel's parameters; the interpreter checks the rest.
        #[expect(unsafe_code, reason = "cudarc cannot check the arguments of a launch")]
        unsafe {
            stream
                .launch_builder(&axpy)
                .arg(&0.5_f32)
                .arg(&x)
                .arg(&mut y)
                .arg(&n)
                .launch(LaunchConfig::for_num_elems(32))
        }
        .map(|_| ())
    };
    launch(8).unwrap();
    assert_eq!(code(launch(9)), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_eq!(code(launch(8)), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_eq!(
        code(context.synchronize()),
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
    );
    assert_eq!(
        code(stream.clone_dtoh(&x)),
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
    );
    assert_eq!(
        code(stream.alloc_zeros::<f32>(1)),
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
    );
}

#[test]
fn refusals_have_the_codes_of_the_driver() {
    let name = "refusals_have_the_codes_of_the_driver";
    if !is_child() {
        let (fine, text) = in_child(name, &[("DETFREE_PTX_MEMORY", "4096")]);
        assert!(fine, "{text}");
        assert!(text.contains("`frob.u32` is not known"), "{text}");
        assert!(text.contains("frob.u32 %mine;"), "{text}");
        return;
    }
    let context = CudaContext::new(0).unwrap();
    let stream = context.default_stream();
    assert_eq!(context.total_mem().unwrap(), 4096);
    let most = stream.alloc_zeros::<u8>(4096).unwrap();
    assert_eq!(
        code(stream.alloc_zeros::<u8>(1)),
        CUresult::CUDA_ERROR_OUT_OF_MEMORY
    );
    drop(most);
    stream.alloc_zeros::<u8>(4096).unwrap();
    let unknown = PTX.replacen("ret;", ".reg .b32 %mine;\nfrob.u32 %mine;", 1);
    let refused = context.load_module(Ptx::from_src(unknown));
    assert_eq!(code(refused), CUresult::CUDA_ERROR_INVALID_PTX);
    let module = context.load_module(Ptx::from_src(PTX)).unwrap();
    assert_eq!(
        code(module.load_function("nobody")),
        CUresult::CUDA_ERROR_NOT_FOUND
    );
    let axpy = module.load_function("axpy").unwrap();
    let x = stream.alloc_zeros::<f32>(1).unwrap();
    let launch = |threads: u32| {
        let block_dim = (threads, 1, 1);
        let config = LaunchConfig {
            grid_dim: (1, 1, 1),
            block_dim,
            shared_mem_bytes: 0,
        };
        add_half(&stream, &axpy, &x, config)
    };
    assert_eq!(code(launch(0)), CUresult::CUDA_ERROR_INVALID_VALUE);
    assert_eq!(code(launch(1025)), CUresult::CUDA_ERROR_INVALID_VALUE);
    launch(1).unwrap();
}

#[test]
fn a_leak_ends_the_process_where_that_is_wanted() {
    let name = "a_leak_ends_the_process_where_that_is_wanted";
    if !is_child() {
        let (fine, text) = in_child(name, &[("DETFREE_PTX_LEAKS", "abort")]);
        assert!(!fine, "the leak passes");
        assert!(
            text.contains("1 allocations of 100 bytes in all have not been freed"),
            "{text}"
        );
        let (fine, text) = in_child(name, &[]);
        assert!(fine, "{text}");
        assert!(text.contains("CUDA_ERROR_ILLEGAL_STATE"), "{text}");
        return;
    }
    let context = CudaContext::new(0).unwrap();
    let memory = context.default_stream().alloc_zeros::<u8>(100).unwrap();
    // The number of the allocation survives, what would free it does not.
    memory.leak();
    drop(context);
}

#[test]
fn a_module_waits_for_its_kernels() {
    let name = "a_module_waits_for_its_kernels";
    if !is_child() {
        let (fine, text) = in_child(name, &[("DETFREE_PTX_LEAKS", "abort")]);
        assert!(!fine, "the module goes too early");
        // Once, and not for the module that was waited for.
        let words = "a module is unloaded while kernels may still run";
        assert_eq!(text.matches(words).count(), 1, "{text}");
        assert!(text.contains("waited for the first"), "{text}");
        return;
    }
    let context = CudaContext::new(0).unwrap();
    let stream = context.default_stream();
    let x = stream.alloc_zeros::<f32>(1).unwrap();
    for waits in [true, false] {
        let module = context.load_module(Ptx::from_src(PTX)).unwrap();
        let axpy = module.load_function("axpy").unwrap();
        add_half(&stream, &axpy, &x, LaunchConfig::for_num_elems(1)).unwrap();
        if waits {
            stream.synchronize().unwrap();
            drop((axpy, module));
            eprintln!("waited for the first");
        }
    }
}

/// x ← x + 0.5 x, of one number.
fn add_half(
    stream: &CudaStream,
    axpy: &CudaFunction,
    x: &CudaSlice<f32>,
    config: LaunchConfig,
) -> Result<(), DriverError> {
    // SAFETY: these are the kernel's parameters; the interpreter checks the rest.
    #[expect(unsafe_code, reason = "cudarc cannot check the arguments of a launch")]
    let launched = unsafe {
        let mut launch = stream.launch_builder(axpy);
        launch.arg(&0.5_f32).arg(x).arg(x).arg(&1_u32);
        launch.launch(config)
    };
    launched.map(|_| ())
}
