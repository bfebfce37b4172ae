//! The initial scale and shift behind every block, from data.

use detfree_core::{Backend, Error, FlowBackend, Scalar};

use super::{Block, ResidualFlow, Tape};

/// A column's deviation is not taken for less: a constant column stays finite.
const LEAST_DEVIATION: f64 = 1e-6;

impl<B: FlowBackend> Tape<B> {
    /// Chooses the scale and shift of every block so that the outputs for these rows have mean 0 and
    /// deviation 1 in every column (Kingma and Dhariwal 2018, section 3.1).
    ///
    /// # Errors
    /// [`Error::Shape`] where the rows do not fit; the device's.
    pub fn standardise(
        &mut self,
        b: &B,
        flow: &mut ResidualFlow<B>,
        rows: &[B::Scalar],
    ) -> Result<(), Error<B::Error>> {
        let mut log = alloc::vec![0.0; rows.len() / flow.dim.max(1)];
        self.load(b, flow, rows, &mut log)?;
        let mut output = rows.to_vec();
        for (i, block) in flow.blocks.iter_mut().enumerate() {
            block.log_scale.fill(0.0);
            block.shift.fill(0.0);
            self.ascend(b, i, block, None, None, &mut log)?;
            if let Some(z) = self.z.get(i + 1) {
                b.download(z, &mut output)?;
            }
            block.standardise(&output);
            self.normalise(b, i, block)?;
        }
        Ok(())
    }
}

impl<B: Backend> Block<B> {
    /// Whether its affine map is the identity still.
    pub(super) fn is_unscaled(&self) -> bool {
        let mut numbers = self.log_scale.iter().chain(&self.shift);
        numbers.all(|&x| x == 0.0)
    }

    fn standardise(&mut self, output: &[B::Scalar]) {
        let dim = self.shift.len().max(1);
        let rows = (output.len() / dim) as f64;
        for (j, (s, t)) in self.log_scale.iter_mut().zip(&mut self.shift).enumerate() {
            let column = || output.iter().skip(j).step_by(dim).map(|x| x.to_f64());
            let mean = column().sum::<f64>() / rows;
            let squares: f64 = column().map(|x| (x - mean) * (x - mean)).sum();
            let deviation = libm::sqrt(squares / rows).max(LEAST_DEVIATION);
            *s = -libm::log(deviation);
            *t = -mean / deviation;
        }
    }
}
