//! What the calls of the driver do, in safe Rust; [`crate::abi`] is their C surface.

pub(crate) mod attributes;
pub(crate) mod code;
mod environment;
mod events;

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use crate::fault::FaultKind;
use crate::machine::{Function, Geometry, Machine, Module};
use crate::memory::DeviceError;
use crate::run::LaunchError;
use code::Code;
use events::Event;

/// An error on its way to the caller: the code that is returned, and the words that are printed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

pub(crate) fn failure<T>(code: Code, message: impl Display) -> Result<T, Failure> {
    Err(Failure {
        code,
        message: message.to_string(),
    })
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        let code = match error {
            DeviceError::OutOfMemory { .. } => Code::OutOfMemory,
            DeviceError::Invalid(_) => Code::InvalidValue,
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

/// The code that a device reports for a fault.
fn code_of(kind: FaultKind) -> Code {
    match kind {
        FaultKind::OutOfBounds | FaultKind::UseAfterFree | FaultKind::ReadOnly => {
            Code::IllegalAddress
        }
        FaultKind::Misaligned => Code::MisalignedAddress,
        FaultKind::Trap
        | FaultKind::Uninitialised
        | FaultKind::Race
        | FaultKind::DivergentBarrier
        | FaultKind::WarpMask => Code::LaunchFailed,
        FaultKind::InstructionBudget => Code::LaunchTimeout,
    }
}

/// The primary context of the only device.
#[derive(Debug)]
struct Context {
    machine: Machine,
    modules: HashMap<usize, Module>,
    /// Of which module, and which.
    functions: HashMap<usize, (usize, Function)>,
    streams: HashSet<usize>,
    events: HashMap<usize, Event>,
    /// Page-locked host memory: where it lies and how long it is.
    host: HashMap<usize, usize>,
    /// Modules whose kernels were launched since a call last waited for them.
    unfinished: HashSet<usize>,
    /// The error that stays until the context is released.
    broken: Option<Code>,
}

/// Everything that the calls share.
#[derive(Debug, Default)]
pub(crate) struct Driver {
    settings: Option<environment::Settings>,
    context: Option<Context>,
    /// The handle of the context, another one each time that it is made.
    handle: usize,
    retained: u32,
    next: usize,
}

/// Handles that are streams without having been created.
const OWN_STREAMS: [usize; 3] = [0, 1, 2];

impl Driver {
    pub(crate) fn initialise(&mut self) -> Result<(), Failure> {
        if self.settings.is_none() {
            let settings =
                environment::read().or_else(|message| failure(Code::InvalidValue, message))?;
            self.settings = Some(settings);
        }
        Ok(())
    }

    fn settings(&self) -> Result<&environment::Settings, Failure> {
        match &self.settings {
            Some(settings) => Ok(settings),
            None => failure(Code::NotInitialised, "cuInit has not been called"),
        }
    }

    pub(crate) fn device(&self, ordinal: i32) -> Result<(), Failure> {
        self.settings()?;
        match ordinal {
            0 => Ok(()),
            other => failure(
                Code::InvalidDevice,
                format!("device {other}: there is only 0"),
            ),
        }
    }

    pub(crate) fn total_memory(&self) -> Result<usize, Failure> {
        Ok(self.settings()?.options.memory)
    }

    pub(crate) fn retain(&mut self) -> Result<usize, Failure> {
        let options = self.settings()?.options;
        if self.context.is_none() {
            self.handle = self.fresh();
            self.context = Some(Context {
                machine: Machine::new(options),
                modules: HashMap::new(),
                functions: HashMap::new(),
                streams: HashSet::new(),
                events: HashMap::new(),
                host: HashMap::new(),
                unfinished: HashSet::new(),
                broken: None,
            });
        }
        self.retained += 1;
        Ok(self.handle)
    }

    /// The last release ends the context; what is still allocated then has leaked.
    pub(crate) fn release(&mut self) -> Result<(), Failure> {
        if self.retained == 0 {
            return failure(
                Code::InvalidContext,
                "the context is released more than retained",
            );
        }
        self.retained -= 1;
        if self.retained > 0 {
            return Ok(());
        }
        let Some(context) = self.context.take() else {
            return Ok(());
        };
        let leaks = context.machine.leaks();
        if leaks.is_empty() || context.broken.is_some() {
            return Ok(());
        }
        let bytes: usize = leaks.iter().map(|leak| leak.1).sum();
        let (address, first) = leaks[0];
        let message = format!(
            "{} allocations of {bytes} bytes in all have not been freed; the first, of {first} \
             bytes, is at {address:#x}",
            leaks.len()
        );
        if self.settings()?.leaks_abort {
            eprintln!("detfree PTX interpreter: {message}");
            std::process::abort();
        }
        failure(Code::IllegalState, message)
    }

    /// A handle that was never given out.
    fn fresh(&mut self) -> usize {
        // Handles look like the addresses of words, and are far from the small ones.
        self.next += 16;
        0x10_0000 + self.next
    }

    /// The context, if `current` is its handle and nothing has broken it.
    fn context(&mut self, current: usize) -> Result<&mut Context, Failure> {
        self.settings()?;
        match &mut self.context {
            Some(context) if current == self.handle => match context.broken {
                None => Ok(context),
                Some(code) => failure(code, "an earlier launch has broken the context"),
            },
            _ if current == 0 => failure(Code::InvalidContext, "no context is current"),
            _ => failure(
                Code::ContextIsDestroyed,
                "the current context has been released",
            ),
        }
    }

    pub(crate) fn machine(&mut self, current: usize) -> Result<&mut Machine, Failure> {
        Ok(&mut self.context(current)?.machine)
    }

    pub(crate) fn load(&mut self, current: usize, text: &str) -> Result<usize, Failure> {
        let handle = self.fresh();
        let context = self.context(current)?;
        match context.machine.load(text) {
            Ok(module) => {
                context.modules.insert(handle, module);
                Ok(handle)
            }
            Err(error) => failure(Code::InvalidPtx, error),
        }
    }

    /// The version that it says it is of, also before it is initialised.
    pub(crate) fn version() -> Result<i32, Failure> {
        environment::driver_version().or_else(|message| failure(Code::InvalidValue, message))
    }

    /// A call has waited for all work of the context.
    pub(crate) fn finish(&mut self, current: usize) -> Result<(), Failure> {
        self.context(current)?.unfinished.clear();
        Ok(())
    }

    /// A copy was submitted that may still use the host's memory when its call returns.
    pub(crate) fn note_copy(&self, bytes: usize) -> Result<(), Failure> {
        if self.settings()?.launches_printed {
            eprintln!("asynchronous copy with the host of {bytes} bytes");
        }
        Ok(())
    }

    /// Nothing says that a driver waits for kernels whose code goes.
    pub(crate) fn unload(&mut self, current: usize, module: usize) -> Result<(), Failure> {
        let leaks_abort = self.settings()?.leaks_abort;
        let context = self.context(current)?;
        if context.unfinished.contains(&module) {
            let message = "a module is unloaded while kernels may still run";
            if leaks_abort {
                eprintln!("detfree PTX interpreter: {message}");
                std::process::abort();
            }
            return failure(Code::IllegalState, message);
        }
        let Some(gone) = context.modules.remove(&module) else {
            return failure(Code::InvalidHandle, "no such module");
        };
        context.machine.unload(&gone);
        context.functions.retain(|_, (owner, _)| *owner != module);
        Ok(())
    }

    pub(crate) fn function(
        &mut self,
        current: usize,
        module: usize,
        name: &str,
    ) -> Result<usize, Failure> {
        let handle = self.fresh();
        let context = self.context(current)?;
        let Some(loaded) = context.modules.get(&module) else {
            return failure(Code::InvalidHandle, "no such module");
        };
        let Some(function) = loaded.function(name) else {
            return failure(
                Code::NotFound,
                format!("no kernel `{name}`; the module has {:?}", loaded.names()),
            );
        };
        context.functions.insert(handle, (module, function.clone()));
        Ok(handle)
    }

    pub(crate) fn variable(
        &mut self,
        current: usize,
        module: usize,
        name: &str,
    ) -> Result<(u64, usize), Failure> {
        let context = self.context(current)?;
        match context
            .modules
            .get(&module)
            .map(|module| module.variable(name))
        {
            Some(Some(variable)) => Ok(variable),
            Some(None) => failure(Code::NotFound, format!("no variable `{name}`")),
            None => failure(Code::InvalidHandle, "no such module"),
        }
    }

    pub(crate) fn loaded(&mut self, current: usize, function: usize) -> Result<Function, Failure> {
        match self.context(current)?.functions.get(&function) {
            Some((_, function)) => Ok(function.clone()),
            None => failure(Code::InvalidHandle, "no such function"),
        }
    }

    pub(crate) fn launch(
        &mut self,
        current: usize,
        handle: usize,
        geometry: Geometry,
        arguments: &[&[u8]],
    ) -> Result<(), Failure> {
        let function = &self.loaded(current, handle)?;
        if self.settings()?.launches_printed {
            eprintln!("launch {}", function.name());
        }
        let context = self.context(current)?;
        let owner = context.functions.get(&handle).map(|(module, _)| *module);
        context.unfinished.extend(owner);
        match context.machine.launch(function, geometry, arguments) {
            Ok(()) => Ok(()),
            Err(error @ LaunchError::Refused(_)) => {
                failure(Code::InvalidValue, format!("{}: {error}", function.name()))
            }
            Err(LaunchError::Fault(fault)) => {
                let code = code_of(fault.kind);
                context.broken = Some(code);
                failure(code, fault)
            }
        }
    }

    pub(crate) fn new_stream(&mut self, current: usize) -> Result<usize, Failure> {
        let handle = self.fresh();
        self.context(current)?.streams.insert(handle);
        Ok(handle)
    }

    /// Work is done when it is submitted, so that a stream is a name and nothing more.
    pub(crate) fn stream(&mut self, current: usize, stream: usize) -> Result<(), Failure> {
        let context = self.context(current)?;
        if OWN_STREAMS.contains(&stream) || context.streams.contains(&stream) {
            return Ok(());
        }
        failure(Code::InvalidHandle, "no such stream")
    }

    pub(crate) fn end_stream(&mut self, current: usize, stream: usize) -> Result<(), Failure> {
        if self.context(current)?.streams.remove(&stream) {
            return Ok(());
        }
        failure(Code::InvalidHandle, "no such stream")
    }

    pub(crate) fn pin(&mut self, current: usize, at: usize, bytes: usize) -> Result<(), Failure> {
        self.context(current)?.host.insert(at, bytes);
        Ok(())
    }

    pub(crate) fn unpin(&mut self, current: usize, at: usize) -> Result<usize, Failure> {
        match self.context(current)?.host.remove(&at) {
            Some(bytes) => Ok(bytes),
            None => failure(Code::InvalidValue, "no page-locked memory is there"),
        }
    }
}
