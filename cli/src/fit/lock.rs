//! One run at a time on a checkpoint.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::model_file::target;

/// Held until it is dropped, or the process ends in whatever way: a file that is left behind by one that was
/// killed is not locked.
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// A lock on a file beside the checkpoint, as the checkpoint itself becomes another file with every
    /// save.
    ///
    /// # Errors
    ///
    /// Where another process has it.
    pub(super) fn take(checkpoint: &Path) -> Result<Self, Failure> {
        let refused = |reason| Failure::Output {
            path: checkpoint.to_owned(),
            reason,
        };
        let target = target(checkpoint);
        let mut name = OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".detfree-lock");
        let path = target.with_file_name(name);
        let file = File::options().append(true).create(true).open(&path);
        let file = file.map_err(|error| {
            let path = path.display();
            refused(format!(
                "cannot write its lock, {path}: {error}; expected none, or one of your own: remove it if \
                 no run is using it"
            ))
        })?;
        // Any other error is that of a file system without locks, where runs are not kept apart.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(refused(
                "another run is saving to it: wait for its end, or name another --checkpoint"
                    .to_owned(),
            ));
        }
        Ok(Self { path, _file: file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still locked, so it is ours to remove. What is left by an error is harmless.
        let _ = fs::remove_file(&self.path);
    }
}
