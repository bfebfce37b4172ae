//! The kernels, compiled ahead of time and embedded.

use std::sync::Arc;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaModule, DriverError};
use cudarc::nvrtc::Ptx;

use crate::error::CudaError;
use crate::launch::Kernel;
use crate::scalar::DeviceScalar;
use crate::signature::parameters;

/// The sources, beside each of which its PTX lies, and the kernels in them.
macro_rules! kernels {
    ($($file:ident: $($kernel:ident)+;)+) => {
        /// Every kernel, for one data type.
        #[derive(Debug)]
        pub(crate) struct Kernels {
            $($(pub(crate) $kernel: Kernel,)+)+
        }

        impl Kernels {
            /// Loads them all.
            pub(crate) fn load<T: DeviceScalar>(
                context: &Arc<CudaContext>,
            ) -> Result<Self, CudaError> {
                $(
                    let $file = Image::load(context, stringify!($file), T::choose(
                        include_str!(concat!("../kernels/", stringify!($file), ".f32.ptx")),
                        include_str!(concat!("../kernels/", stringify!($file), ".f64.ptx")),
                    ))?;
                )+
                Ok(Self {
                    $($($kernel: $file.kernel(T::choose(
                        concat!(stringify!($kernel), "_f32"),
                        concat!(stringify!($kernel), "_f64"),
                    ))?,)+)+
                })
            }
        }

        /// (file, source, PTX in both types, kernels)
        #[cfg(test)]
        const SOURCES: &[(&str, &str, [&str; 2], &[&str])] = &[$(
            (
                stringify!($file),
                include_str!(concat!("../kernels/", stringify!($file), ".cu")),
                [
                    include_str!(concat!("../kernels/", stringify!($file), ".f32.ptx")),
                    include_str!(concat!("../kernels/", stringify!($file), ".f64.ptx")),
                ],
                &[$(stringify!($kernel),)+],
            ),
        )+];
    };
}

kernels! {
    activations: bias_activate;
    adam: adam;
    bijections: bijection inverse_bijection;
    chain: chain;
    cholesky: is_definite;
    densities: base_density;
    fills: fill_constant fill_rows fill_units fill_signs fill_normals;
    linear: axpy hadamard scale_shift scale_rows add_bias;
    lu: lu solve_triangles;
    products: product_small product_large;
    reductions: dot_rows sum_rows fold;
    relative_adam: relative_adam_small relative_adam_large;
    transpose: transpose;
}

/// The PTX of one source, loaded.
struct Image {
    file: &'static str,
    ptx: &'static str,
    module: Arc<CudaModule>,
}

impl Image {
    fn load(
        context: &Arc<CudaContext>,
        file: &'static str,
        ptx: &'static str,
    ) -> Result<Self, CudaError> {
        let module = context
            .load_module(Ptx::from_src(ptx))
            .map_err(|status| refused(file, status))?;
        Ok(Self { file, ptx, module })
    }

    fn kernel(&self, name: &'static str) -> Result<Kernel, CudaError> {
        let function = self.module.load_function(name);
        Ok(Kernel {
            function: function.map_err(|status| refused(self.file, status))?,
            name,
            parameters: parameters(self.ptx, name).unwrap_or_default(),
        })
    }
}

fn refused(kernels: &'static str, status: DriverError) -> CudaError {
    match status.0 {
        CUresult::CUDA_ERROR_INVALID_PTX
        | CUresult::CUDA_ERROR_INVALID_IMAGE
        | CUresult::CUDA_ERROR_INVALID_SOURCE
        | CUresult::CUDA_ERROR_JIT_COMPILATION_DISABLED
        | CUresult::CUDA_ERROR_JIT_COMPILER_NOT_FOUND
        | CUresult::CUDA_ERROR_NOT_FOUND
        | CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU
        | CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
            CudaError::KernelImage { kernels, status }
        }
        _ => CudaError::of(status, "loading the kernels"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::launch::MOST;

    fn fnv1a(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        })
    }

    /// An edited source whose PTX was not made anew would otherwise pass every test here.
    #[test]
    fn the_ptx_was_made_from_these_sources() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
        let of = |end: &str| {
            let files = fs::read_dir(&folder).unwrap();
            let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
            paths.retain(|path| path.extension().is_some_and(|extension| extension == end));
            paths.sort();
            paths
        };
        assert_eq!(of("cu").len(), SOURCES.len(), "every source is listed");
        let headers = of("cuh");
        assert!(headers.len() > 3);
        let headers: Vec<u8> = headers
            .iter()
            .flat_map(|path| fs::read(path).unwrap())
            .collect();
        for (file, source, texts, _) in SOURCES {
            let hash = fnv1a(&[&headers, source.as_bytes()].concat());
            for ptx in texts {
                let first = ptx.lines().next().unwrap();
                assert!(
                    first.ends_with(&format!("{hash:016x}")),
                    "{file}.cu changed: run `.ci/ptx --write`"
                );
            }
        }
    }

    #[test]
    fn every_kernel_of_the_ptx_is_listed_and_has_parameters_that_can_be_given() {
        for (file, _, texts, kernels) in SOURCES {
            for (ptx, end) in texts.iter().zip(["f32", "f64"]) {
                let entries = ptx.matches(".visible .entry ").count();
                assert_eq!(entries, kernels.len(), "{file}");
                for kernel in *kernels {
                    let parameters = parameters(ptx, &format!("{kernel}_{end}"));
                    let count = parameters.unwrap_or_default().len();
                    assert!((3..=MOST).contains(&count), "{kernel}_{end}: {count}");
                }
            }
        }
    }

    /// What old drivers load, and nothing that is computed to fewer digits.
    #[test]
    fn the_ptx_is_old_enough_and_exact() {
        for (file, _, texts, _) in SOURCES {
            for ptx in texts {
                assert!(ptx.contains("\n.version 6.0\n"), "{file}");
                assert!(ptx.contains("\n.target sm_70\n"), "{file}");
                assert!(!ptx.contains(".approx"), "{file}");
            }
        }
    }
}
