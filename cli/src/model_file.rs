//! Files that are either written whole or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use detfree::flows::{Model, ModelError};
use tempfile::{Builder, NamedTempFile};

use crate::failure::Failure;
use crate::singular::pivots;

/// Reads a model file.
pub(crate) fn read(path: &Path) -> Result<Model, Failure> {
    let bytes = fs::read(path).map_err(|reason| Failure::File {
        path: path.to_owned(),
        reason,
    })?;
    let model = Model::from_bytes(&bytes).map_err(|reason| Failure::Model {
        path: path.to_owned(),
        reason,
    })?;
    expect_regular(&model, path)?;
    Ok(model)
}

/// Refuses a relative flow with a weight that has no inverse to the last digit of double precision, where
/// no training ends.
fn expect_regular(model: &Model, path: &Path) -> Result<(), Failure> {
    let share = model.dim() as f64 * f64::EPSILON;
    let singular = |&(_, [least, largest]): &(usize, [f64; 2])| least <= share * largest;
    match pivots(model).find(singular) {
        Some((layer, _)) => Err(Failure::Model {
            path: path.to_owned(),
            reason: ModelError::Corrupt(format!(
                "the weight of layer {layer} (from 0) is singular, so it has neither densities nor samples"
            )),
        }),
        None => Ok(()),
    }
}

/// Links that are followed: more go in a circle.
const LINKS: usize = 40;

/// Where writing to `path` ends: behind links, in a folder that has one name only. Where there is no such
/// folder, the path itself.
pub(crate) fn target(path: &Path) -> PathBuf {
    if let Ok(there) = path.canonicalize() {
        return there;
    }
    // A link may lead to what is not there yet.
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(link) = path.read_link() else { break };
        path = folder(&path).join(link);
    }
    match (folder(&path).canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A path that has been found writable, before the work whose result it is to hold.
#[derive(Debug)]
pub(crate) struct Output {
    /// As the user named it.
    path: PathBuf,
    target: PathBuf,
}

impl Output {
    /// Tries to write beside where `path` leads, and leaves nothing there.
    pub(crate) fn probe(path: &Path) -> Result<Self, Failure> {
        let output = Self {
            path: path.to_owned(),
            target: target(path),
        };
        let last = path.as_os_str().as_encoded_bytes().last();
        let folder = folder(&output.target);
        if path.is_dir() {
            return Err(output.failure("is a directory, expected a file to write"));
        }
        if last.is_some_and(|&byte| std::path::is_separator(char::from(byte))) {
            return Err(output.failure("ends as a directory does, expected a file to write"));
        }
        if let Ok(there) = fs::metadata(&output.target) {
            if !there.is_file() {
                let reason = "is there, but no ordinary file: expected one to replace";
                return Err(output.failure(reason));
            }
            // A new file takes its place, which asks for no permission to write to the old one.
            if there.permissions().readonly() {
                let reason = "is read-only, expected a file to replace: make it writable, or name \
                              another one";
                return Err(output.failure(reason));
            }
        }
        if !folder.exists() {
            let reason = format!("no such folder: {}", folder.display());
            return Err(output.failure(&reason));
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
        file.persist(&self.target)
            .map_err(|error| self.failure(&format!("cannot write: {}", error.error)))?;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn temporary(&self) -> Result<NamedTempFile, Failure> {
        let mut builder = Builder::new();
        builder.prefix(".detfree-");
        #[cfg(unix)]
        {
            // A private file is the default of temporaries; this one becomes an ordinary file.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        builder
            .tempfile_in(folder(&self.target))
            // The error itself names the temporary file.
            .map_err(|error| self.failure(&format!("cannot write there: {}", error.kind())))
    }

    fn failure(&self, reason: &str) -> Failure {
        Failure::Output {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}
