//! A device with its memory and the modules that are loaded: the interpreter without the driver's
//! calls around it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::arithmetic::approximate::Approximation;
use crate::decode;
use crate::fault::LoadError;
use crate::kernel::Kernel;
use crate::memory::device::Owner;
use crate::memory::{Device, DeviceError};
use crate::run::{self, Launch, LaunchError, Scratch};
use crate::source::{self, Space};

/// What a machine can be told.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of device memory.
    pub memory: usize,
    /// How approximate instructions are computed.
    pub approximation: Approximation,
    /// Instructions that one warp may run in one launch.
    pub budget: u64,
}

impl Default for Options {
    /// 1 GiB, exact, 2^28 instructions.
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            approximation: Approximation::Exact,
            budget: 1 << 28,
        }
    }
}

/// How many blocks of how many threads, and how much dynamic shared memory each block has.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared_bytes: u32,
}

impl Geometry {
    /// `blocks` blocks of `threads` threads.
    #[must_use]
    pub fn line(blocks: u32, threads: u32) -> Self {
        Self {
            grid: [blocks, 1, 1],
            block: [threads, 1, 1],
            shared_bytes: 0,
        }
    }
}

/// A kernel of a loaded module.
#[derive(Clone, Debug)]
pub struct Function(Arc<Kernel>);

impl Function {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The sizes in bytes of its parameters, in their order.
    pub fn parameters(&self) -> impl ExactSizeIterator<Item = usize> {
        self.0.parameters.iter().map(|parameter| parameter.bytes)
    }

    /// Bytes of static shared memory.
    #[must_use]
    pub fn shared_bytes(&self) -> usize {
        self.0.shared_bytes
    }

    /// Bytes of local memory of a thread.
    #[must_use]
    pub fn local_bytes(&self) -> usize {
        self.0.local_bytes
    }

    /// Threads that a block may have.
    #[must_use]
    pub fn most_threads(&self) -> u32 {
        self.0
            .most_threads
            .unwrap_or(run::MOST_THREADS)
            .min(run::MOST_THREADS)
    }
}

/// A loaded module.
#[derive(Clone, Debug, Default)]
pub struct Module {
    functions: HashMap<String, Function>,
    /// Addresses and sizes of its variables.
    variables: HashMap<String, (u64, usize)>,
}

impl Module {
    /// The kernel of that name.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }

    /// The names of its kernels, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.functions.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Address and size of a variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<(u64, usize)> {
        self.variables.get(name).copied()
    }
}

/// A device.
#[derive(Debug)]
pub struct Machine {
    options: Options,
    device: Device,
    scratch: Scratch,
}

impl Machine {
    /// A device without modules and allocations.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            device: Device::new(options.memory),
            scratch: Scratch::default(),
        }
    }

    /// Loads a module.
    ///
    /// # Errors
    /// Whatever in the text is not known or not right, with its line; variables that find no room.
    pub fn load(&mut self, text: &str) -> Result<Module, LoadError> {
        let (module, addresses) = (Module::default(), Vec::new());
        let mut loading = Loading { module, addresses };
        match self.load_into(text, &mut loading) {
            Ok(()) => Ok(loading.module),
            Err(error) => {
                for address in loading.addresses {
                    // It was allocated just now.
                    let _ = self.device.free(address);
                }
                Err(error.quoting(text))
            }
        }
    }

    fn load_into(&mut self, text: &str, loading: &mut Loading) -> Result<(), LoadError> {
        let source = source::parse(text)?;
        let mut addresses = HashMap::new();
        for variable in &source.variables {
            let owner = match variable.space {
                Space::Global => Owner::Module,
                Space::Constant => Owner::Constant,
                _ => continue,
            };
            let failed = |error: DeviceError| LoadError::at(variable.line, error.to_string());
            let bytes = variable.bytes as usize;
            let address = self.device.allocate(bytes, owner).map_err(failed)?;
            loading.addresses.push(address);
            let mut initial = variable.initial.clone();
            initial.resize(bytes, 0);
            self.device.write(address, &initial).map_err(failed)?;
            addresses.insert(variable.name.clone(), address);
            loading
                .module
                .variables
                .insert(variable.name.clone(), (address, bytes));
        }
        for kernel in decode::kernels(text, &source, &addresses)? {
            let name = kernel.name.clone();
            loading
                .module
                .functions
                .insert(name, Function(Arc::new(kernel)));
        }
        Ok(())
    }

    /// Frees the variables of a module.
    pub fn unload(&mut self, module: &Module) {
        for (address, _) in module.variables.values() {
            // Nobody else frees the variables of a module.
            let _ = self.device.free(*address);
        }
    }

    /// Allocates device memory, with nothing in it.
    ///
    /// # Errors
    /// No bytes, or more than are left.
    pub fn allocate(&mut self, bytes: usize) -> Result<u64, DeviceError> {
        self.device.allocate(bytes, Owner::Program)
    }

    /// Frees device memory.
    ///
    /// # Errors
    /// An address that no allocation returned, or that has been freed before.
    pub fn free(&mut self, address: u64) -> Result<(), DeviceError> {
        self.device.free(address)
    }

    /// Copies to the device.
    ///
    /// # Errors
    /// A range outside of every allocation.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.device.write(address, bytes)
    }

    /// Copies to the host.
    ///
    /// # Errors
    /// A range outside of every allocation, or that holds bytes which nothing has written.
    pub fn read(&mut self, address: u64, count: usize) -> Result<&[u8], DeviceError> {
        self.device.read(address, count)
    }

    /// Sets `count` bytes.
    ///
    /// # Errors
    /// A range outside of every allocation.
    pub fn fill(&mut self, address: u64, byte: u8, count: usize) -> Result<(), DeviceError> {
        self.device.fill(address, byte, count)
    }

    /// Copies within the device; what holds nothing at the source holds nothing at the target.
    ///
    /// # Errors
    /// Ranges outside of every allocation, or that overlap.
    pub fn copy(&mut self, to: u64, from: u64, count: usize) -> Result<(), DeviceError> {
        self.device.copy(to, from, count)
    }

    /// Free bytes and all bytes of device memory.
    #[must_use]
    pub fn memory(&self) -> (usize, usize) {
        (self.device.left(), self.device.limit())
    }

    /// Addresses and sizes of allocations that have not been freed.
    #[must_use]
    pub fn leaks(&self) -> Vec<(u64, usize)> {
        self.device.leaks()
    }

    /// Instructions of threads that have run since the machine was made.
    #[must_use]
    pub fn executed(&self) -> u64 {
        self.scratch.executed
    }

    /// Runs a kernel; `arguments` are the bytes of its parameters, in their order.
    ///
    /// # Errors
    /// What a driver would refuse, and what the kernel does wrong.
    pub fn launch(
        &mut self,
        function: &Function,
        geometry: Geometry,
        arguments: &[&[u8]],
    ) -> Result<(), LaunchError> {
        let kernel = &*function.0;
        if arguments.len() != kernel.parameters.len() {
            return Err(LaunchError::Refused(format!(
                "{} arguments, but the kernel has {} parameters",
                arguments.len(),
                kernel.parameters.len()
            )));
        }
        let mut bytes = vec![0; kernel.parameter_bytes()];
        for (parameter, argument) in kernel.parameters.iter().zip(arguments) {
            if argument.len() != parameter.bytes {
                return Err(LaunchError::Refused(format!(
                    "{} bytes for the parameter `{}`, which has {}",
                    argument.len(),
                    parameter.name,
                    parameter.bytes
                )));
            }
            bytes[parameter.offset..][..parameter.bytes].copy_from_slice(argument);
        }
        let launch = Launch {
            grid: geometry.grid,
            block: geometry.block,
            shared_bytes: geometry.shared_bytes,
            approximation: self.options.approximation,
            budget: self.options.budget,
        };
        run::run(kernel, &launch, &bytes, &mut self.device, &mut self.scratch)
    }
}

/// A module on its way in.
struct Loading {
    module: Module,
    addresses: Vec<u64>,
}
