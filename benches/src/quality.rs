//! What a flow reaches on a toy distribution, and in what time.

use std::fs;
use std::path::Path;
use std::time::Instant;

use detfree::flows::toy::Toy;
use detfree::{Allocate, FlowBackend, Key};
use serde::Serialize;

use crate::flow::{Course, Plan};
use crate::turns::Outcome;

/// Points that are scored.
const HELD_OUT: usize = 10_000;

/// Points to train on and others to score, row-major.
pub struct Points {
    toy: Toy,
    training: Vec<f32>,
    held_out: Vec<f32>,
}

/// What came out.
#[derive(Serialize)]
pub struct Quality {
    program: &'static str,
    toy: &'static str,
    iterations: usize,
    /// Of training.
    seconds: f64,
    /// The mean of held-out points, with exact determinants.
    log_likelihood: f64,
}

impl Points {
    /// So many to train on, each once.
    #[must_use]
    pub fn of(toy: Toy, training: usize) -> Self {
        let draw = |key, count: usize| {
            let points = (0..count as u64).flat_map(|row| toy.sample(Key::new(key), row));
            points.map(|x| x as f32).collect()
        };
        Self {
            toy,
            training: draw(1, training),
            held_out: draw(2, HELD_OUT),
        }
    }

    /// Leaves them in a folder, as little-endian numbers.
    ///
    /// # Errors
    /// Of the file system.
    pub fn write(&self, folder: &Path) -> Outcome<()> {
        for (name, points) in [
            ("training.f32", &self.training),
            ("held-out.f32", &self.held_out),
        ] {
            let bytes: Vec<u8> = points.iter().flat_map(|x| x.to_le_bytes()).collect();
            fs::write(folder.join(name), bytes)?;
        }
        Ok(())
    }

    /// Trains a flow of `plan` once through the points.
    ///
    /// # Errors
    /// For a plan that is not for two dimensions; the device's.
    pub fn train<B>(&self, b: &B, plan: &Plan) -> Outcome<Quality>
    where
        B: FlowBackend<Scalar = f32> + Allocate + Sync,
        B::Error: core::error::Error + 'static,
    {
        let dim = plan.widths[0];
        let mut course = Course::new(b, plan)?;
        let batches = self.training.chunks_exact(plan.batch * dim);
        let iterations = batches.len();
        let began = Instant::now();
        for (i, batch) in batches.enumerate() {
            course.step(b, batch, i as f64 / iterations as f64)?;
        }
        Ok(Quality {
            program: "detfree",
            toy: self.toy.name(),
            iterations,
            seconds: began.elapsed().as_secs_f64(),
            log_likelihood: course.log_likelihood(b, &self.held_out, dim)?,
        })
    }
}
