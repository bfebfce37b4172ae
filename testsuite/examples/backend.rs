//! A complete backend in one file, as someone outside this project would write it: plain `f64` rows,
//! one `Vec` each, and the conformance suite run on it.
//!
//! Loops zip what they are given, and factorisations look at the shape first: operands that break the
//! contract end a loop early, and never panic.
//!
//! `cargo run -p detfree-testsuite --example backend`

use std::convert::Infallible;
use std::ops::Range;
use std::process::ExitCode;

use detfree_core::{
    Activation, Allocate, Backend, DenseBackend, Fill, Op, Scalar, Shape, Store, reference,
};
use detfree_testsuite::{Fixture, Suite};

/// The place of computation: this process.
struct Rows;

/// Row after row. A batch knows its dimension even where it has no rows.
struct Batch {
    dim: usize,
    rows: Vec<Vec<f64>>,
}

impl Batch {
    /// The rows of a range; none where it reaches outside the batch.
    fn part(&self, rows: &Range<usize>) -> &[Vec<f64>] {
        self.rows.get(rows.clone()).unwrap_or_default()
    }

    fn part_mut(&mut self, rows: &Range<usize>) -> &mut [Vec<f64>] {
        self.rows.get_mut(rows.clone()).unwrap_or_default()
    }

    /// The columns of the rows of a range.
    fn columns(&self, rows: &Range<usize>) -> Vec<Vec<f64>> {
        let column = |j| self.part(rows).iter().map(|row| row[j]).collect();
        (0..self.dim).map(column).collect()
    }

    fn is_square(&self) -> bool {
        self.rows.len() == self.dim
    }
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
        assign(y.rows.iter_mut().flatten(), x.rows.iter().flatten());
        Ok(())
    }

    fn axpy(&self, rows: Range<usize>, a: f64, x: &Batch, y: &mut Batch) -> Done {
        for (y, x) in y.part_mut(&rows).iter_mut().zip(x.part(&rows)) {
            for (y, x) in y.iter_mut().zip(x) {
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
        let pairs = x.part(&rows).iter().zip(y.part(&rows));
        for (out, (x, y)) in out.iter_mut().skip(rows.start).zip(pairs) {
            *out += a * dot(x, y);
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
        assign(x.rows.iter_mut().flatten(), host);
        Ok(())
    }

    fn download(&self, x: &Batch, host: &mut [f64]) -> Done {
        assign(host, x.rows.iter().flatten());
        Ok(())
    }

    fn upload_rows(&self, host: &[f64], out: &mut Vec<f64>) -> Done {
        assign(out, host);
        Ok(())
    }

    fn download_rows(&self, rows: &Vec<f64>, host: &mut [f64]) -> Done {
        assign(host, rows);
        Ok(())
    }
}

/// Step 2: memory on request, which the suite asks for. What it holds is unspecified: NaN shows who
/// reads it.
impl Allocate for Rows {
    fn batch(&self, shape: Shape) -> Result<Batch, Infallible> {
        let rows = vec![vec![f64::NAN; shape.dim]; shape.rows];
        Ok(Batch {
            dim: shape.dim,
            rows,
        })
    }

    fn rows(&self, rows: usize) -> Result<Vec<f64>, Infallible> {
        Ok(vec![f64::NAN; rows])
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
        let w = match op {
            Op::Plain => w.rows.clone(),
            Op::Transposed => w.columns(&(0..w.rows.len())),
        };
        for (out, x) in out.part_mut(&rows).iter_mut().zip(x.part(&rows)) {
            for (out, w) in out.iter_mut().zip(&w) {
                put(store, dot(w, x), out);
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
        let (s, v) = (s.columns(&rows), v.columns(&rows));
        for (g, s) in g.rows.iter_mut().zip(&s) {
            for (g, v) in g.iter_mut().zip(&v) {
                put(store, a * dot(s, v), g);
            }
        }
        Ok(())
    }

    fn sum_rows(&self, rows: Range<usize>, a: f64, x: &Batch, store: Store, g: &mut Batch) -> Done {
        for (g, x) in g.rows.iter_mut().flatten().zip(x.columns(&rows)) {
            put(store, a * x.iter().sum::<f64>(), g);
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
        let pairs = x.part(&rows).iter().zip(y.part(&rows));
        for (out, (x, y)) in out.part_mut(&rows).iter_mut().zip(pairs) {
            for (out, (x, y)) in out.iter_mut().zip(x.iter().zip(y)) {
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
        for (x, scale) in x.part_mut(&rows).iter_mut().zip(scale.part(&rows)) {
            for (x, scale) in x.iter_mut().zip(scale) {
                *x *= scale;
            }
        }
        shift.map_or(Ok(()), |shift| self.axpy(rows, 1.0, shift, x))
    }

    fn add_bias(&self, bias: &Batch, x: &mut Batch) -> Done {
        for row in &mut x.rows {
            for (x, bias) in row.iter_mut().zip(bias.rows.iter().flatten()) {
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
        let outputs = z.rows.iter_mut().zip(&mut d1.rows).zip(&mut d2.rows);
        for (h, ((z, d1), d2)) in h.rows.iter().zip(outputs) {
            activation.jets(h, z, d1, d2);
        }
        Ok(())
    }

    fn transpose(&self, x: &Batch, out: &mut Batch) -> Done {
        for (out, column) in out.rows.iter_mut().zip(x.columns(&(0..x.rows.len()))) {
            assign(out, &column);
        }
        Ok(())
    }

    fn log_abs_det(&self, a: &mut Batch) -> Result<(f64, f64), Infallible> {
        if !a.is_square() {
            return Ok((0.0, f64::NEG_INFINITY));
        }
        let (mut sign, mut log) = (1.0, 0.0);
        for k in 0..a.rows.len() {
            let Some((pivot_row, pivot)) = eliminate(&mut a.rows, k, &mut []) else {
                return Ok((0.0, f64::NEG_INFINITY));
            };
            sign *= pivot.signum() * if pivot_row == k { 1.0 } else { -1.0 };
            log += pivot.abs().ln();
        }
        Ok((sign, log))
    }

    fn solve(&self, a: &mut Batch, op: Op, x: &mut Batch) -> Result<bool, Infallible> {
        let n = a.rows.len();
        if !a.is_square() || x.dim != n {
            return Ok(false);
        }
        if op == Op::Transposed {
            a.rows = a.columns(&(0..n));
        }
        // A singular matrix leaves x as it was.
        let before = x.rows.clone();
        for k in 0..n {
            if eliminate(&mut a.rows, k, &mut x.rows).is_none() {
                x.rows = before;
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

    /// Elimination without pivoting has the pivots d_k = l_kk² of Cholesky, each of which must exceed
    /// n ε max_i a_ii; ε is that of the batch's numbers, `Self::Scalar::EPSILON`.
    fn is_positive_definite(&self, a: &mut Batch) -> Result<bool, Infallible> {
        let n = a.rows.len();
        if !a.is_square() {
            return Ok(false);
        }
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
            // Written so that NaN and infinity fail.
            if !(pivot > n as f64 * <f64 as Scalar>::EPSILON * largest && pivot < f64::INFINITY) {
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

fn assign<'a>(to: impl IntoIterator<Item = &'a mut f64>, from: impl IntoIterator<Item = &'a f64>) {
    for (to, from) in to.into_iter().zip(from) {
        *to = *from;
    }
}

/// `Set` must not read what was there: it may be NaN.
fn put(store: Store, value: f64, out: &mut f64) {
    match store {
        Store::Set => *out = value,
        Store::Add => *out += value,
    }
}

/// One step of Gaussian elimination with row pivoting, on the right-hand sides too (each a row of
/// `rhs`); the row that was swapped into place k and its pivot, or `None` where no usable one is
/// left.
fn eliminate(a: &mut [Vec<f64>], k: usize, rhs: &mut [Vec<f64>]) -> Option<(usize, f64)> {
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
    Some((best, pivot[k]))
}

/// Step 4: the suite. `dense` runs what a `DenseBackend` must do and lists the rest as ignored;
/// with `FlowBackend` implemented it would be `flow`.
fn main() -> ExitCode {
    Suite::new()
        .dense(Fixture::new("rows-f64", || Ok(Rows)))
        .run()
}
