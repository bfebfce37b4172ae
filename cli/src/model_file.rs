//! Files that are either written whole or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use detfree::flows::Model;
use tempfile::{Builder, NamedTempFile};

use crate::failure::Failure;

/// Reads a model file.
pub(crate) fn read(path: &Path) -> Result<Model, Failure> {
    let bytes = fs::read(path).map_err(|reason| Failure::File {
        path: path.to_owned(),
        reason,
    })?;
    Model::from_bytes(&bytes).map_err(|reason| Failure::Model {
        path: path.to_owned(),
        reason,
    })
}

/// A path that has been found writable, before the work whose result it is to hold.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
}

impl Output {
    /// Tries to write beside `path`, and leaves nothing there.
    pub(crate) fn probe(path: &Path) -> Result<Self, Failure> {
        let output = Self {
            path: path.to_owned(),
        };
        if path.is_dir() {
            return Err(output.failure("is a directory, expected a file to write"));
        }
        output.temporary()?;
        Ok(output)
    }

    /// Writes all of `bytes`, replacing what was there in one step.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut file = self.temporary()?;
        let written = file
            .write_all(bytes)
            .and_then(|()| file.as_file().sync_all());
        written.map_err(|error| self.failure(&format!("cannot write: {error}")))?;
        file.persist(&self.path)
            .map_err(|error| self.failure(&format!("cannot write: {}", error.error)))?;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn temporary(&self) -> Result<NamedTempFile, Failure> {
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut builder = Builder::new();
        builder.prefix(".detfree-");
        #[cfg(unix)]
        {
            // A private file is the default of temporaries; this one becomes an ordinary file.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        builder
            .tempfile_in(folder)
            .map_err(|error| self.failure(&format!("cannot write there: {error}")))
    }

    fn failure(&self, reason: &str) -> Failure {
        Failure::Output {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}
