//! A complete backend in one file, as someone outside this project would write it: plain `f64` rows,
//! one `Vec` each, and the conformance suite run on it. For brevity it indexes, and so panics where a
//! caller breaks the primitives' contract; a library would not.
//!
//! `cargo run -p detfree-testsuite --example backend`

use std::convert::Infallible;
use std::ops::Range;
use std::process::ExitCode;

use detfree_core::{
    Activation, Allocate, Backend, DenseBackend, Fill, Op, Shape, Store, reference,
};
use detfree_testsuite::{Fixture, Suite};

/// The place of computation: this process.
struct Rows;

/// Row after row. A batch knows its dimension even where it has no rows.
struct Batch {
    dim: usize,
    rows: Vec<Vec<f64>>,
}

type Done = Result<(), Infallible>;

/// Step 1: batches, transfers, fills, and the passes of a series.
impl Backend for Rows {
    type Scalar = f64;
    type Batch = Batch;
    type Rows = Vec<f64>;
    type Error = Infallible;

    fn shape(&self, x: &Batch) -> Shape {
        Shape::new(x.rows.len(), x.dim)
    }

    fn row_count(&self, rows: &Vec<f64>) -> usize {
        rows.len()
    }

    /// The core writes a row of random numbers for hosts; a device computes them from the key.
    fn fill(&self, what: Fill, x: &mut Batch) -> Done {
        for (r, row) in x.rows.iter_mut().enumerate() {
            reference::fill_row(what, r, row);
        }
        Ok(())
    }

    fn copy(&self, x: &Batch, y: &mut Batch) -> Done {
        y.rows.clone_from(&x.rows);
        Ok(())
    }

    fn axpy(&self, rows: Range<usize>, a: f64, x: &Batch, y: &mut Batch) -> Done {
        for r in rows {
            for (y, x) in y.rows[r].iter_mut().zip(&x.rows[r]) {
                *y += a * x;
            }
        }
        Ok(())
    }

    fn dot_rows(
        &self,
        rows: Range<usize>,
        a: f64,
        x: &Batch,
        y: &Batch,
        out: &mut Vec<f64>,
    ) -> Done {
        for r in rows {
            out[r] += a * dot(&x.rows[r], &y.rows[r]);
        }
        Ok(())
    }

    fn scale_rows(&self, c: &Vec<f64>, x: &mut Batch) -> Done {
        for (c, row) in c.iter().zip(&mut x.rows) {
            row.iter_mut().for_each(|x| *x *= c);
        }
        Ok(())
    }

    fn fill_rows(&self, a: f64, out: &mut Vec<f64>) -> Done {
        out.fill(a);
        Ok(())
    }

    fn upload(&self, host: &[f64], x: &mut Batch) -> Done {
        for (row, host) in x.rows.iter_mut().zip(host.chunks(x.dim.max(1))) {
            row.copy_from_slice(host);
        }
        Ok(())
    }

    fn download(&self, x: &Batch, host: &mut [f64]) -> Done {
        for (row, host) in x.rows.iter().zip(host.chunks_mut(x.dim.max(1))) {
            host.copy_from_slice(row);
        }
        Ok(())
    }

    fn upload_rows(&self, host: &[f64], out: &mut Vec<f64>) -> Done {
        out.copy_from_slice(host);
        Ok(())
    }

    fn download_rows(&self, rows: &Vec<f64>, host: &mut [f64]) -> Done {
        host.copy_from_slice(rows);
        Ok(())
    }
}

/// Step 2: memory on request, for those who have it.
impl Allocate for Rows {
    fn batch(&self, shape: Shape) -> Result<Batch, Infallible> {
        let rows = vec![vec![0.0; shape.dim]; shape.rows];
        Ok(Batch {
            dim: shape.dim,
            rows,
        })
    }

    fn rows(&self, rows: usize) -> Result<Vec<f64>, Infallible> {
        Ok(vec![0.0; rows])
    }
}

/// Step 3: products with weights and small factorisations.
impl DenseBackend for Rows {
    fn apply(
        &self,
        rows: Range<usize>,
        w: &Batch,
        op: Op,
        x: &Batch,
        store: Store,
        out: &mut Batch,
    ) -> Done {
        for r in rows {
            let x = &x.rows[r];
            for (i, out) in out.rows[r].iter_mut().enumerate() {
                let product = match op {
                    Op::Plain => dot(&w.rows[i], x),
                    Op::Transposed => w.rows.iter().zip(x).map(|(w, x)| w[i] * x).sum(),
                };
                put(store, product, out);
            }
        }
        Ok(())
    }

    fn outer(
        &self,
        rows: Range<usize>,
        a: f64,
        s: &Batch,
        v: &Batch,
        store: Store,
        g: &mut Batch,
    ) -> Done {
        for (i, g) in g.rows.iter_mut().enumerate() {
            for (j, g) in g.iter_mut().enumerate() {
                let sum: f64 = rows.clone().map(|r| s.rows[r][i] * v.rows[r][j]).sum();
                put(store, a * sum, g);
            }
        }
        Ok(())
    }

    fn sum_rows(&self, rows: Range<usize>, a: f64, x: &Batch, store: Store, g: &mut Batch) -> Done {
        for (j, g) in g.rows[0].iter_mut().enumerate() {
            let sum: f64 = rows.clone().map(|r| x.rows[r][j]).sum();
            put(store, a * sum, g);
        }
        Ok(())
    }

    fn hadamard(
        &self,
        rows: Range<usize>,
        x: &Batch,
        y: &Batch,
        store: Store,
        out: &mut Batch,
    ) -> Done {
        for r in rows {
            for (out, (x, y)) in out.rows[r].iter_mut().zip(x.rows[r].iter().zip(&y.rows[r])) {
                put(store, x * y, out);
            }
        }
        Ok(())
    }

    fn scale_shift(
        &self,
        rows: Range<usize>,
        scale: &Batch,
        shift: Option<&Batch>,
        x: &mut Batch,
    ) -> Done {
        for r in rows {
            for (j, x) in x.rows[r].iter_mut().enumerate() {
                *x = *x * scale.rows[r][j] + shift.map_or(0.0, |shift| shift.rows[r][j]);
            }
        }
        Ok(())
    }

    fn add_bias(&self, bias: &Batch, x: &mut Batch) -> Done {
        for row in &mut x.rows {
            for (x, bias) in row.iter_mut().zip(&bias.rows[0]) {
                *x += bias;
            }
        }
        Ok(())
    }

    fn bias_activate(
        &self,
        activation: Activation,
        bias: &Batch,
        h: &mut Batch,
        z: &mut Batch,
        d1: &mut Batch,
        d2: &mut Batch,
    ) -> Done {
        self.add_bias(bias, h)?;
        for (r, h) in h.rows.iter().enumerate() {
            activation.jets(h, &mut z.rows[r], &mut d1.rows[r], &mut d2.rows[r]);
        }
        Ok(())
    }

    fn transpose(&self, x: &Batch, out: &mut Batch) -> Done {
        for (j, out) in out.rows.iter_mut().enumerate() {
            for (out, row) in out.iter_mut().zip(&x.rows) {
                *out = row[j];
            }
        }
        Ok(())
    }

    fn log_abs_det(&self, a: &mut Batch) -> Result<(f64, f64), Infallible> {
        let (mut sign, mut log) = (1.0, 0.0);
        for k in 0..a.rows.len() {
            let Some(pivot_row) = eliminate(&mut a.rows, k, &mut []) else {
                return Ok((0.0, f64::NEG_INFINITY));
            };
            let pivot = a.rows[k][k];
            sign *= pivot.signum() * if pivot_row == k { 1.0 } else { -1.0 };
            log += pivot.abs().ln();
        }
        Ok((sign, log))
    }

    fn solve(&self, a: &mut Batch, op: Op, x: &mut Batch) -> Result<bool, Infallible> {
        let n = a.rows.len();
        if op == Op::Transposed {
            let transposed = (0..n).map(|j| a.rows.iter().map(|row| row[j]).collect());
            a.rows = transposed.collect();
        }
        for k in 0..n {
            if eliminate(&mut a.rows, k, &mut x.rows).is_none() {
                return Ok(false);
            }
        }
        for x in &mut x.rows {
            for i in (0..n).rev() {
                let known = dot(&a.rows[i][i + 1..], &x[i + 1..]);
                x[i] = (x[i] - known) / a.rows[i][i];
            }
        }
        Ok(true)
    }

    /// Elimination without pivoting keeps every pivot of a definite matrix positive.
    fn is_positive_definite(&self, a: &mut Batch) -> Result<bool, Infallible> {
        let n = a.rows.len();
        let mut s: Vec<Vec<f64>> = (0..n)
            .map(|i| {
                (0..n)
                    .map(|j| 0.5 * (a.rows[i][j] + a.rows[j][i]))
                    .collect()
            })
            .collect();
        let largest = (0..n).map(|i| s[i][i]).fold(0.0, f64::max);
        for k in 0..n {
            let pivot = s[k][k];
            // NaN is not definite either.
            if pivot.is_nan() || pivot <= n as f64 * f64::EPSILON * largest {
                return Ok(false);
            }
            let (above, below) = s.split_at_mut(k + 1);
            for row in below {
                let factor = row[k] / pivot;
                for (x, above) in row.iter_mut().zip(&above[k]) {
                    *x -= factor * above;
                }
            }
        }
        Ok(true)
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// `Set` must not read what was there: it may be NaN.
fn put(store: Store, value: f64, out: &mut f64) {
    match store {
        Store::Set => *out = value,
        Store::Add => *out += value,
    }
}

/// One step of Gaussian elimination with row pivoting, on the right-hand sides too (each a row of
/// `rhs`); the row that was swapped into place k, or `None` where no usable pivot is left.
fn eliminate(a: &mut [Vec<f64>], k: usize, rhs: &mut [Vec<f64>]) -> Option<usize> {
    let size = |i: usize| a[i][k].abs();
    if (k..a.len()).any(|i| !size(i).is_finite()) {
        return None;
    }
    let best = (k..a.len()).max_by(|&i, &j| size(i).total_cmp(&size(j)))?;
    if size(best) == 0.0 {
        return None;
    }
    a.swap(k, best);
    rhs.iter_mut().for_each(|x| x.swap(k, best));
    let (above, below) = a.split_at_mut(k + 1);
    let pivot = &above[k];
    for (i, row) in (k + 1..).zip(below) {
        let factor = row[k] / pivot[k];
        for (x, p) in row.iter_mut().zip(pivot).skip(k) {
            *x -= factor * p;
        }
        for x in rhs.iter_mut() {
            x[i] -= factor * x[k];
        }
    }
    Some(best)
}

/// Step 4: the suite. `dense` runs what a `DenseBackend` must do and lists the rest as ignored;
/// with `FlowBackend` implemented it would be `flow`.
fn main() -> ExitCode {
    Suite::new()
        .dense(Fixture::new("rows-f64", || Ok(Rows)))
        .run()
}
