//! Variances of estimators of log det(I + J) for an explicit J: exact, over probes and numbers of terms.
//!
//! With a_k = (−1)^{k+1}/k, tails B_k = Σ_{j≥k} a_j Jʲ and T_k = vᵀ B_k v, the estimate
//! X = Σ_{k=k₀}^{N} a_k/S(k) vᵀ Jᵏ v has E[X | v] = T_{k₀}, and the number of terms summed out,
//!
//! Var(X | v) = Σ_{k>k₀} (1/S(k) − 1/S(k−1)) T_k²:
//!
//! X = Σ_k (1/S(k)) (T_k − T_{k+1}) 1{N ≥ k} by Abel's summation is T_{k₀} plus martingale differences,
//! each (1{N≥k}/S(k) − 1{N≥k−1}/S(k−1)) T_k, uncorrelated, and of variance (1/S(k) − 1/S(k−1)) T_k². Then
//!
//! Var X = Var(T_{k₀}) + Σ_{k>k₀} (1/S(k) − 1/S(k−1)) E\[T_k²\],
//!
//! where with M_k = (B_k + B_kᵀ)/2, as v has independent entries of unit variance,
//!
//! | v | Var(vᵀ B v) | E[(vᵀ B v)²] |
//! |---|---|---|
//! | Gaussian | 2 ‖M‖²_F | (tr B)² + Var |
//! | Rademacher | 2 (‖M‖²_F − Σ_i M_ii²) | (tr B)² + Var |
//!
//! For m orthogonal probes v_p = s ∘ H_p, H_p rows of the Walsh–Hadamard matrix drawn without replacement, the
//! sum of quadratic forms is Σ_ij M_ij s_i s_j G_ij, G_ij = (1/m) Σ_p H_pi H_pj. Of n rows a pair's products
//! H_pi H_pj sum to 0, so that E\[G_ij²\] = (1/m) (n − m)/(n − 1) for i ≠ j: that share of Rademacher's variance.
//!
//! A control variate c (vᵀJv − tr J) beside an exact first trace puts B₂ + c J in the place of B₂, in
//! the first of the two variances alone. The best c of many rows minimises Σ Var(vᵀ (B₂ + c J) v).

use detfree::{Probe, RouletteSchedule};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Powers are taken until they are this small beside the matrix; what follows is a geometric series.
const SMALL: f64 = 1e-14;

/// Over how many terms its ratio is taken.
const STRIDE: usize = 8;

/// More terms than any case here needs.
const MOST: usize = 600;

/// a_k Jᵏ for k = 1, 2, …, and what is needed of their tails.
pub struct Powers {
    dim: usize,
    /// a_k Jᵏ, row-major.
    terms: Vec<Vec<f64>>,
    /// Of B₁, B₂, …
    tails: Vec<Form>,
    /// B₁ and B₂, row-major.
    leading: [Vec<f64>; 2],
}

/// What the moments of vᵀ B v depend on.
#[derive(Clone, Copy)]
struct Form {
    trace: f64,
    /// ‖(B + Bᵀ)/2‖²
    symmetric: f64,
    /// Σ_i B_ii²
    diagonal: f64,
}

/// An estimator's variance for one row, and its expected products.
#[derive(Clone, Copy)]
pub struct Cost {
    /// Infinite where the sum over terms does not converge.
    pub variance: f64,
    /// Of a row.
    pub products: f64,
}

impl Form {
    fn of(matrix: &[f64], dim: usize) -> Self {
        let entry = |i: usize, j: usize| matrix[i * dim + j];
        let indices = || (0..dim).flat_map(|i| (0..dim).map(move |j| (i, j)));
        let squares = indices().map(|(i, j)| entry(i, j) * (entry(i, j) + entry(j, i)));
        Self {
            trace: (0..dim).map(|i| entry(i, i)).sum(),
            symmetric: 0.5 * squares.sum::<f64>(),
            diagonal: (0..dim).map(|i| entry(i, i).powi(2)).sum(),
        }
    }

    fn variance(&self, probe: Probe) -> f64 {
        match probe {
            Probe::Basis => 0.0,
            Probe::Gaussian => 2.0 * self.symmetric,
            Probe::Rademacher | Probe::Orthogonal => 2.0 * (self.symmetric - self.diagonal),
        }
    }

    fn second_moment(&self, probe: Probe) -> f64 {
        self.trace * self.trace + self.variance(probe)
    }
}

impl Powers {
    /// Of a `dim` × `dim` matrix.
    #[must_use]
    pub fn of(jacobian: &[f64], dim: usize) -> Self {
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let mut power = jacobian.to_vec();
        let mut terms: Vec<Vec<f64>> = Vec::new();
        for k in 1..=MOST {
            let a = (if k % 2 == 1 { 1.0 } else { -1.0 }) / k as f64;
            terms.push(power.iter().map(|x| a * x).collect());
            if norm(&power) <= SMALL * norm(jacobian) {
                break;
            }
            power = product(&power, jacobian, dim);
        }
        let mut tail = vec![0.0; dim * dim];
        let mut tails = Vec::new();
        let mut leading = [const { Vec::new() }; 2];
        for (k, term) in terms.iter().enumerate().rev() {
            tail.iter_mut().zip(term).for_each(|(sum, x)| *sum += x);
            tails.push(Form::of(&tail, dim));
            if let Some(leading) = leading.get_mut(k) {
                leading.clone_from(&tail);
            }
        }
        tails.reverse();
        Self {
            dim,
            terms,
            tails,
            leading,
        }
    }

    /// log det(I + J)
    #[must_use]
    pub fn log_det(&self) -> f64 {
        self.tails.first().map_or(0.0, |tail| tail.trace)
    }

    /// Var(T_{k₀}), which probes alone bring about; `first` is k₀, 1 or 2.
    #[must_use]
    pub fn of_probes(&self, probe: Probe, passes: u32, first: usize) -> f64 {
        let (rows, passes) = (self.dim.next_power_of_two() as f64, f64::from(passes));
        let share = match probe {
            Probe::Orthogonal => (rows - passes) / (rows - 1.0),
            _ => 1.0,
        };
        let one = |form: &Form| share * form.variance(probe) / passes;
        self.tails.get(first - 1).map_or(0.0, one)
    }

    /// Var(T₂ + c vᵀJv) of one probe.
    fn of_controlled(&self, probe: Probe, c: f64) -> f64 {
        let [_, tail] = &self.leading;
        let Some(jacobian) = self.terms.first() else {
            return 0.0;
        };
        let sum: Vec<f64> = tail.iter().zip(jacobian).map(|(b, j)| b + c * j).collect();
        Form::of(&sum, self.dim).variance(probe)
    }

    /// The c that minimises the sum of Var(T₂ + c vᵀJv) over `rows`: of a parabola through c = −1, 0, 1.
    #[must_use]
    pub fn best_control(rows: &[Self], probe: Probe) -> f64 {
        let sum = |c| {
            rows.iter()
                .map(|row| row.of_controlled(probe, c))
                .sum::<f64>()
        };
        let [left, middle, right] = [-1.0, 0.0, 1.0].map(sum);
        0.5 * (left - right) / (left - 2.0 * middle + right)
    }

    /// E[Var(X | v)], of one number of terms for each pass.
    #[must_use]
    pub fn of_roulette(
        &self,
        schedule: &RouletteSchedule,
        probe: Probe,
        passes: u32,
        first: usize,
    ) -> f64 {
        let tails = self.tails.iter().zip(1_u32..).skip(first);
        let terms: Vec<f64> = tails
            .map(|(tail, k)| increment(schedule, k) * tail.second_moment(probe))
            .collect();
        let rest = match terms.rchunks(STRIDE).next() {
            Some([start, .., end]) if *start > 0.0 && *end > 0.0 => {
                let ratio = (end / start).powf(1.0 / (STRIDE - 1) as f64);
                match ratio < 1.0 {
                    true => end * ratio / (1.0 - ratio),
                    false => f64::INFINITY,
                }
            }
            _ => 0.0,
        };
        (terms.iter().sum::<f64>() + rest) / f64::from(passes)
    }

    /// Of `passes` probes with a number of terms for each, beginning with term `first`.
    #[must_use]
    pub fn cost(
        &self,
        schedule: &RouletteSchedule,
        probe: Probe,
        passes: u32,
        first: usize,
    ) -> Cost {
        Cost {
            variance: self.of_probes(probe, passes, first)
                + self.of_roulette(schedule, probe, passes, first),
            products: f64::from(passes) * schedule.expected_terms(),
        }
    }

    /// Of one probe beyond an exact first trace, with a control variate of weight `c`.
    #[must_use]
    pub fn controlled_cost(&self, schedule: &RouletteSchedule, probe: Probe, c: f64) -> Cost {
        Cost {
            variance: self.of_controlled(probe, c) + self.of_roulette(schedule, probe, 1, 2),
            products: schedule.expected_terms(),
        }
    }

    /// T_k of a probe for every k ≥ 1.
    #[must_use]
    pub fn tails_of(&self, probe: &[f64]) -> Vec<f64> {
        let quadratic = |matrix: &Vec<f64>| -> f64 {
            let rows = matrix.chunks_exact(self.dim).zip(probe);
            rows.map(|(row, v)| v * row.iter().zip(probe).map(|(x, y)| x * y).sum::<f64>())
                .sum()
        };
        let mut tails: Vec<f64> = self.terms.iter().map(quadratic).collect();
        for k in (1..tails.len()).rev() {
            tails[k - 1] += tails[k];
        }
        tails
    }

    /// E[(Σ_r T_k^r)²] for every k ≥ 1, over the rows' independent probes.
    #[must_use]
    pub fn summed_second_moments(rows: &[Self], probe: Probe) -> Vec<f64> {
        let longest = rows.iter().map(|row| row.tails.len()).max().unwrap_or(0);
        let tails = |k: usize| rows.iter().filter_map(move |row| row.tails.get(k));
        (0..longest)
            .map(|k| {
                let mean: f64 = tails(k).map(|tail| tail.trace).sum();
                mean * mean + tails(k).map(|tail| tail.variance(probe)).sum::<f64>()
            })
            .collect()
    }
}

/// 1/S(k) − 1/S(k−1)
#[must_use]
pub fn increment(schedule: &RouletteSchedule, k: u32) -> f64 {
    let inverse = |k| 1.0 / schedule.survival(k);
    inverse(k) - inverse(k.saturating_sub(1))
}

/// ‖J‖₂ by power iteration, from below.
#[must_use]
pub fn norm(jacobian: &[f64], dim: usize) -> f64 {
    let mut v = vec![1.0; dim];
    let mut norm = 0.0;
    for _ in 0..200 {
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let rows = jacobian.chunks_exact(dim);
        let u: Vec<f64> = rows
            .clone()
            .map(|row| row.iter().zip(&v).map(|(x, v)| x * v / length).sum())
            .collect();
        norm = u.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.fill(0.0);
        for (row, u) in rows.zip(&u) {
            v.iter_mut().zip(row).for_each(|(v, x)| *v += u * x);
        }
    }
    norm
}

fn product(a: &[f64], b: &[f64], dim: usize) -> Vec<f64> {
    let mut out = vec![0.0; dim * dim];
    let matrix = |x| MatRef::from_row_major_slice(x, dim, dim);
    let target = MatMut::from_row_major_slice_mut(&mut out, dim, dim);
    matmul(target, Accum::Replace, matrix(a), matrix(b), 1.0, Par::Seq);
    out
}
