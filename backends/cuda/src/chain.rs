//! Products in a chain: neighbouring small ones in one launch, every other one scaled as it is stored.

use core::ops::Range;

use detfree_core::{Link, Op, Shape};

use crate::launch::{self, Argument, Grid};
use crate::passes::{fit, word};
use crate::product::{Layout, Product};
use crate::products::{NONE, Onto};
use crate::scalar::DeviceScalar;
use crate::{Cuda, CudaError, DeviceBatch};

/// The most numbers of a vector that the kernel of small links takes.
const WIDEST: usize = 128;
/// Rows of a block.
const TOGETHER: usize = 8;
const THREADS: u32 = 256;
/// The most links of a launch.
const MOST_LINKS: usize = 4;

/// A link as kernels take it: addresses, of none where there is no scale.
struct Step {
    product: Product,
    x: u64,
    weight: u64,
    scale: u64,
    out: u64,
}

impl Step {
    fn is_small(&self) -> bool {
        self.product.k.max(self.product.n) <= WIDEST
    }
}

/// Neighbouring small links, on their way into one launch.
struct Run {
    links: usize,
    /// The numbers of x, and of every link's result.
    dims: [usize; MOST_LINKS + 1],
    /// Bit l: link l is with the transpose.
    transposed: u32,
    x: u64,
    /// (weight, scale)
    factors: [(u64, u64); MOST_LINKS],
    out: u64,
}

impl Run {
    const EMPTY: Self = Self {
        links: 0,
        dims: [0; MOST_LINKS + 1],
        transposed: 0,
        x: NONE,
        factors: [(NONE, NONE); MOST_LINKS],
        out: NONE,
    };

    /// With a link more, for which there is room.
    fn push(&mut self, step: &Step) {
        if self.links == 0 {
            self.x = step.x;
            self.dims[0] = step.product.k;
        }
        let is_transposed = step.product.layouts[1] == Layout::Columns;
        self.transposed |= u32::from(is_transposed) << self.links;
        self.factors[self.links] = (step.weight, step.scale);
        self.links += 1;
        self.dims[self.links] = step.product.n;
        self.out = step.out;
    }
}

impl<T: DeviceScalar> Cuda<T> {
    /// What [`detfree_core::DenseBackend::chain`] says.
    pub(crate) fn run_chain<'a>(
        &self,
        rows: &Range<usize>,
        mut x: &'a DeviceBatch<T>,
        links: impl IntoIterator<Item = Link<'a, DeviceBatch<T>>>,
    ) -> Result<(), CudaError> {
        let mut run = Run::EMPTY;
        for Link {
            weight,
            op,
            scale,
            out,
        } in links
        {
            let step = self.step(rows, x, [weight, out], op, scale)?;
            if run.links == MOST_LINKS || !step.is_small() {
                self.launch_run(rows.len(), &run)?;
                run = Run::EMPTY;
            }
            if step.is_small() {
                run.push(&step);
            } else {
                let addresses = [step.x, step.weight, step.out];
                let (a, onto) = (T::one(), Onto::Nothing);
                self.multiply_scaled(&step.product, a, addresses, onto, step.scale)?;
            }
            x = out;
        }
        self.launch_run(rows.len(), &run)
    }

    fn step(
        &self,
        rows: &Range<usize>,
        x: &DeviceBatch<T>,
        [weight, out]: [&DeviceBatch<T>; 2],
        op: Op,
        scale: Option<&DeviceBatch<T>>,
    ) -> Result<Step, CudaError> {
        let Shape { rows: outputs, dim } = weight.shape;
        let product = Product::apply(rows.len(), [outputs, dim], op);
        let gives = |y: &DeviceBatch<T>| y.shape.dim == product.n && y.has(rows);
        fit(
            x.shape.dim == product.k && x.has(rows) && gives(out) && scale.is_none_or(gives),
            "chain",
            format_args!(
                "rows {rows:?}, {op:?} w {:?}, x {:?}, scale {:?}, out {:?}",
                weight.shape,
                x.shape,
                scale.map(|scale| scale.shape),
                out.shape
            ),
        )?;
        let address = |x: &DeviceBatch<T>| x.row(rows.start, &self.stream);
        Ok(Step {
            product,
            x: address(x),
            weight: weight.row(0, &self.stream),
            scale: scale.map_or(NONE, address),
            out: address(out),
        })
    }

    fn launch_run(&self, rows: usize, run: &Run) -> Result<(), CudaError> {
        if rows == 0 || run.links == 0 {
            return Ok(());
        }
        let [d0, d1, d2, d3, d4] = run.dims.map(word);
        let first = [
            Argument::count(rows),
            word(run.links),
            Argument::Word(run.transposed),
            d0,
            d1,
            d2,
            d3,
            d4,
            Argument::Long(run.x),
        ];
        let [w0, w1, w2, w3] = run.factors.map(|(weight, _)| Argument::Long(weight));
        let [s0, s1, s2, s3] = run.factors.map(|(_, scale)| Argument::Long(scale));
        let rest = [w0, s0, w1, s1, w2, s2, w3, s3, Argument::Long(run.out)];
        let grid = Grid {
            blocks: [rows.div_ceil(TOGETHER) as u32, 1],
            threads: THREADS,
        };
        launch::launch(&self.stream, &self.kernels.chain, grid, &[&first, &rest])
    }
}
