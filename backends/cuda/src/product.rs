//! Matrix products: how one is laid out, how it is cut, and what cuBLAS is asked for.

use detfree_core::Op;

/// In what order a factor [outer, depth] of a product lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A row for every outer index.
    Rows,
    /// A row for every index of the sum.
    Columns,
}

impl Layout {
    /// (the step of the outer index, that of the sum's), for a factor [outer, depth].
    pub(crate) const fn steps(self, outer: usize, depth: usize) -> [usize; 2] {
        match self {
            Self::Rows => [depth, 1],
            Self::Columns => [1, outer],
        }
    }
}

/// out ← left rightᵀ with left [m, k], right [n, k] and out [m, n] in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) layouts: [Layout; 2],
}

/// The arguments of a cuBLAS product C = op(A) op(B), in its column-major order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whether A, B are transposed.
    pub(crate) transposed: [bool; 2],
    /// Rows of C, columns of C, and the length of the sums.
    pub(crate) extents: [i32; 3],
    /// Leading dimensions of A, B and C.
    pub(crate) leading: [i32; 3],
}

/// How the kernels compute a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Tiles of 64 × 64 instead of 16 × 16.
    pub(crate) large: bool,
    pub(crate) tiles: usize,
    /// Into how many parts the sum is cut, each for a set of blocks; `fold` adds them.
    pub(crate) parts: usize,
    /// The length of a part.
    pub(crate) chunk: usize,
}

/// Blocks that keep a large device busy.
const BUSY: usize = 128;
/// The shortest part of a sum.
const SHORTEST: usize = 256;
const MOST_PARTS: usize = 64;
/// The depth of a step of the kernels.
const DEPTH: usize = 16;
const SMALL_TILE: usize = 16;
const LARGE_TILE: usize = 64;

impl Product {
    /// out = x op(W)ᵀ for x of `rows` rows, and a weight [outputs, inputs].
    pub(crate) const fn apply(rows: usize, [outputs, inputs]: [usize; 2], op: Op) -> Self {
        let (n, k, weight) = match op {
            Op::Plain => (outputs, inputs, Layout::Rows),
            Op::Transposed => (inputs, outputs, Layout::Columns),
        };
        Self {
            m: rows,
            n,
            k,
            layouts: [Layout::Rows, weight],
        }
    }

    /// out = sᵀ v for s [rows, m] and v [rows, n].
    pub(crate) const fn outer(rows: usize, [m, n]: [usize; 2]) -> Self {
        Self {
            m,
            n,
            k: rows,
            layouts: [Layout::Columns; 2],
        }
    }

    /// What lies in rows is its transpose in columns: C = outᵀ = right leftᵀ. `None` where an extent
    /// has more than 31 bits.
    pub(crate) fn column_major(&self) -> Option<Call> {
        let Self { m, n, k, layouts } = *self;
        let [left, right] = layouts;
        let int = |extent: usize| i32::try_from(extent).ok();
        // A = right [n, k]: in rows, it is kept as k × n columns. B = leftᵀ [k, m].
        let leading = |layout: Layout, outer| match layout {
            Layout::Rows => int(k),
            Layout::Columns => int(outer),
        };
        Some(Call {
            transposed: [right == Layout::Rows, left == Layout::Columns],
            extents: [int(n)?, int(m)?, int(k)?],
            leading: [leading(right, n)?, leading(left, m)?, int(n)?],
        })
    }

    /// Large tiles where there are enough of them, and parts where there are few tiles and long sums.
    /// `scratch` elements are there for the parts.
    pub(crate) fn cut(&self, scratch: usize) -> Cut {
        let tiles = |side: usize| self.m.div_ceil(side).saturating_mul(self.n.div_ceil(side));
        let large = tiles(LARGE_TILE) >= BUSY / 2;
        let tiles = tiles(if large { LARGE_TILE } else { SMALL_TILE });
        let room = scratch / self.m.saturating_mul(self.n).max(1);
        let parts = (self.k / SHORTEST)
            .min(BUSY.div_ceil(tiles.max(1)))
            .min(MOST_PARTS)
            .min(room)
            .max(1);
        let chunk = self.k.div_ceil(parts).next_multiple_of(DEPTH);
        Cut {
            large,
            tiles,
            parts: self.k.div_ceil(chunk.max(1)).max(1),
            chunk,
        }
    }
}

/// (parts, rows of each) for a sum of `rows` rows of `dim` numbers.
pub(crate) fn cut_rows(rows: usize, dim: usize, scratch: usize) -> (usize, usize) {
    let parts = (rows / SHORTEST)
        .min(MOST_PARTS)
        .min(scratch / dim.max(1))
        .max(1);
    let chunk = rows.div_ceil(parts).max(1);
    (rows.div_ceil(chunk).max(1), chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers, so that sums are exact.
    fn numbers(count: usize, seed: usize) -> Vec<f64> {
        (0..count)
            .map(|i| ((i * 7 + seed * 5 + i * i) % 11) as f64 - 5.0)
            .collect()
    }

    /// What the documentation of BLAS says of gemm, element by element.
    fn column_major_gemm(call: &Call, a: &[f64], b: &[f64], c: &mut [f64]) {
        let [m, n, k] = call.extents.map(|x| x as usize);
        let [lda, ldb, ldc] = call.leading.map(|x| x as usize);
        for row in 0..m {
            for column in 0..n {
                let mut sum = 0.0;
                for p in 0..k {
                    let a = match call.transposed[0] {
                        false => a[row + p * lda],
                        true => a[p + row * lda],
                    };
                    let b = match call.transposed[1] {
                        false => b[p + column * ldb],
                        true => b[column + p * ldb],
                    };
                    sum += a * b;
                }
                c[row + column * ldc] = sum;
            }
        }
    }

    fn strided(product: &Product, left: &[f64], right: &[f64]) -> Vec<f64> {
        let Product { m, n, k, layouts } = *product;
        let [li, lk] = layouts[0].steps(m, k);
        let [ri, rk] = layouts[1].steps(n, k);
        let mut out = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                out[i * n + j] = (0..k)
                    .map(|p| left[i * li + p * lk] * right[j * ri + p * rk])
                    .sum();
            }
        }
        out
    }

    #[test]
    fn products_of_both_orders_are_plain_loops() {
        for (rows, outputs, inputs) in [(1, 1, 1), (5, 3, 4), (2, 7, 3), (4, 1, 6), (3, 5, 1)] {
            let w = numbers(outputs * inputs, 1);
            for op in [Op::Plain, Op::Transposed] {
                let (n, k) = match op {
                    Op::Plain => (outputs, inputs),
                    Op::Transposed => (inputs, outputs),
                };
                let x = numbers(rows * k, 2);
                let product = Product::apply(rows, [outputs, inputs], op);
                let mut want = vec![0.0; rows * n];
                for r in 0..rows {
                    for o in 0..outputs {
                        for i in 0..inputs {
                            match op {
                                Op::Plain => want[r * n + o] += w[o * inputs + i] * x[r * k + i],
                                Op::Transposed => {
                                    want[r * n + i] += w[o * inputs + i] * x[r * k + o];
                                }
                            }
                        }
                    }
                }
                assert_eq!(strided(&product, &x, &w), want, "{rows} {op:?}");
                let mut got = vec![f64::NAN; rows * n];
                column_major_gemm(&product.column_major().unwrap(), &w, &x, &mut got);
                assert_eq!(got, want, "{rows} × {outputs} × {inputs} {op:?} by cuBLAS");
            }

            let (s, v) = (numbers(rows * outputs, 3), numbers(rows * inputs, 4));
            let product = Product::outer(rows, [outputs, inputs]);
            let mut want = vec![0.0; outputs * inputs];
            for r in 0..rows {
                for o in 0..outputs {
                    for i in 0..inputs {
                        want[o * inputs + i] += s[r * outputs + o] * v[r * inputs + i];
                    }
                }
            }
            assert_eq!(strided(&product, &s, &v), want);
            let mut got = vec![f64::NAN; outputs * inputs];
            column_major_gemm(&product.column_major().unwrap(), &v, &s, &mut got);
            assert_eq!(got, want, "outer {rows} × {outputs} × {inputs} by cuBLAS");
        }
    }

    #[test]
    fn extents_beyond_31_bits_are_not_for_cublas() {
        assert_eq!(Product::outer(1 << 31, [2, 2]).column_major(), None);
    }

    #[test]
    fn parts_cover_the_sum_and_fit_the_scratch() {
        let scratch = 1 << 20;
        for m in [1, 16, 100, 700, 5000] {
            for n in [1, 33, 1200] {
                for k in [0, 1, 15, 511, 512, 1000, 100_003] {
                    let cut = Product::outer(k, [m, n]).cut(scratch);
                    assert!(cut.parts >= 1 && cut.parts * cut.chunk >= k);
                    assert!(cut.parts == 1 || (cut.parts - 1) * cut.chunk < k);
                    assert!(cut.parts == 1 || cut.parts * m * n <= scratch);
                    let (parts, chunk) = cut_rows(k, n, scratch);
                    assert!(parts >= 1 && parts * chunk >= k && parts * n <= scratch);
                    assert!(parts == 1 || (parts - 1) * chunk < k);
                }
            }
        }
        assert!(Product::outer(9, [512, 512]).cut(scratch).large);
        assert_eq!(Product::outer(100_000, [2, 2]).cut(scratch).parts, 64);
    }
}
