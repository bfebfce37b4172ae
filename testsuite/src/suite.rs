//! Backends under test, and the trials that their checks become.

use std::process::ExitCode;
use std::sync::Arc;
use std::{env, fmt};

use detfree_core::reference::Heap;
use detfree_core::{Allocate, Backend, DenseBackend, FlowBackend};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::{Check, basic_checks, dense_checks, flow_checks};

/// Set to 1, it turns the trials of an unavailable backend from ignored into failed.
const REQUIRE_DEVICE: &str = "DETFREE_REQUIRE_DEVICE";

/// Why a backend cannot be had here: what was looked for, and was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    looked_for: String,
}

impl Unavailable {
    /// No backend, because this is not here: "a CUDA driver: libcuda.so.1 was not found".
    pub fn new(looked_for: impl Into<String>) -> Self {
        Self {
            looked_for: looked_for.into(),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the backend is not available here: {}", self.looked_for)
    }
}

impl std::error::Error for Unavailable {}

/// A backend under test: its name, and how a trial gets one of its own.
pub struct Fixture<B> {
    name: String,
    backend: Arc<dyn Fn() -> Result<B, Unavailable> + Send + Sync>,
    slow: bool,
}

impl<B> Fixture<B> {
    /// The backend that `backend` makes, or does not where its device is missing.
    pub fn new(
        name: impl Into<String>,
        backend: impl Fn() -> Result<B, Unavailable> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            backend: Arc::new(backend),
            slow: false,
        }
    }

    /// The same for a backend that takes minutes for what others do in a second, as an interpreter of
    /// a device's code does: its checks run [in brief](Check::in_brief).
    #[must_use]
    pub fn slow(self) -> Self {
        Self { slow: true, ..self }
    }
}

impl<B> fmt::Debug for Fixture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The trials of one test target (`harness = false`).
///
/// ```no_run
/// use std::process::ExitCode;
/// use detfree_core::reference::Heap;
/// use detfree_testsuite::{Fixture, Suite};
///
/// fn main() -> ExitCode {
///     Suite::new()
///         .flow(Fixture::new("mine-f32", || Ok(Heap::<f32>::new())))
///         .flow(Fixture::new("mine-f64", || Ok(Heap::<f64>::new())))
///         .run()
/// }
/// ```
#[derive(Debug, Default)]
pub struct Suite {
    trials: Vec<Trial>,
}

impl Suite {
    /// No trials yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything that a [`FlowBackend`] must get right.
    #[must_use]
    pub fn flow<B: FlowBackend + Allocate + Sync + 'static>(self, fixture: Fixture<B>) -> Self {
        self.checks(&fixture, basic_checks())
            .checks(&fixture, dense_checks())
            .checks(&fixture, flow_checks())
    }

    /// Everything that a [`DenseBackend`] must get right; the passes of flows are listed as ignored.
    #[must_use]
    pub fn dense<B: DenseBackend + Allocate + Sync + 'static>(self, fixture: Fixture<B>) -> Self {
        self.checks(&fixture, basic_checks())
            .checks(&fixture, dense_checks())
            .missing(&fixture, "FlowBackend", flow_checks::<Heap<f64>>())
    }

    /// Everything that a [`Backend`] must get right; what needs more is listed as ignored.
    #[must_use]
    pub fn basic<B: Backend + Allocate + Sync + 'static>(self, fixture: Fixture<B>) -> Self {
        self.checks(&fixture, basic_checks())
            .missing(&fixture, "DenseBackend", dense_checks::<Heap<f64>>())
            .missing(&fixture, "FlowBackend", flow_checks::<Heap<f64>>())
    }

    /// One trial that is listed as ignored: what is not checked here, and why.
    #[must_use]
    pub fn ignored(mut self, name: impl Into<String>, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        self.trials.push(Trial::ignorable_test(name, move || {
            Ok(Completion::ignored_with(reason))
        }));
        self
    }

    /// Runs the trials that the command line asks for, as `cargo test` would: names are
    /// `fixture::module::check`, and any part of one filters.
    #[must_use]
    pub fn run(self) -> ExitCode {
        libtest_mimic::run(&Arguments::from_args(), self.trials).exit_code()
    }

    /// The trials, for a main function of the caller's.
    #[must_use]
    pub fn into_trials(self) -> Vec<Trial> {
        self.trials
    }

    fn checks<B: 'static>(mut self, fixture: &Fixture<B>, checks: Vec<Check<B>>) -> Self {
        for check in checks {
            let check = if fixture.slow {
                check.in_brief()
            } else {
                check
            };
            let backend = Arc::clone(&fixture.backend);
            let trial = move || match backend() {
                Ok(b) => check
                    .run(&b)
                    .map(|()| Completion::Completed)
                    .map_err(Failed::from),
                Err(unavailable) => without_device(&unavailable, env::var_os(REQUIRE_DEVICE)),
            };
            let name = format!("{}::{}", fixture.name, check.name());
            self.trials.push(Trial::ignorable_test(name, trial));
        }
        self
    }

    fn missing<B, C>(self, fixture: &Fixture<B>, capability: &str, checks: Vec<Check<C>>) -> Self {
        checks.into_iter().fold(self, |suite, check| {
            let name = format!("{}::{}", fixture.name, check.name());
            suite.ignored(name, format!("the backend does not implement {capability}"))
        })
    }
}

fn without_device(
    unavailable: &Unavailable,
    required: Option<std::ffi::OsString>,
) -> Result<Completion, Failed> {
    if required.is_some_and(|required| required == "1") {
        Err(format!("{unavailable}, and {REQUIRE_DEVICE} is set").into())
    } else {
        Ok(Completion::ignored_with(unavailable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_device_is_ignored_unless_required() {
        let unavailable = Unavailable::new("a device: there is none");
        let conclude =
            |required: Option<&str>| without_device(&unavailable, required.map(Into::into));
        for required in [None, Some("0")] {
            let Ok(Completion::Ignored { reason }) = conclude(required) else {
                panic!("it is not ignored");
            };
            assert!(reason.is_some_and(|reason| reason.contains("there is none")));
        }
        let failed = conclude(Some("1")).err();
        let message = failed.as_ref().and_then(|failed| failed.message());
        assert!(message.is_some_and(|message| message.contains(REQUIRE_DEVICE)));
    }

    #[test]
    fn what_is_not_offered_is_listed() {
        let fixture = || Fixture::new("heap", || Ok(Heap::<f64>::new()));
        let names = |suite: Suite| -> Vec<String> {
            let trials = suite.into_trials();
            trials.iter().map(|trial| trial.name().into()).collect()
        };
        let all = names(Suite::new().flow(fixture()));
        assert_eq!(names(Suite::new().dense(fixture())), all);
        assert_eq!(names(Suite::new().basic(fixture())), all);
        assert!(all.contains(&"heap::products::apply".into()));
    }
}
