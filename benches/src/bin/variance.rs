//! Prints the variances of estimators of log det(I + J): of a random block, and of the blocks of a flow
//! that is trained on images of digits. The formulas are those of `src/variance.rs`.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::Parser;
use detfree::faer::Faer;
use detfree::{Key, Probe, Quantity, RouletteSchedule, Terms};
use detfree_benches::digits::{self, Digits, Trained, WIDTHS};
use detfree_benches::jacobians::jacobians;
use detfree_benches::turns::Outcome;
use detfree_benches::variance::{self, Cost, Powers};

/// Rows of the batch, held out from training.
const ROWS: usize = 64;

/// Draws of the probes of a batch, and of its numbers of terms for each.
const PROBES: u64 = 60;
const ROULETTES: u64 = 400;

/// Passes of orthogonal probes.
const PASSES: u32 = 4;

/// What an exact first trace costs, in products: one of h × h beside two of D × h and one of h × h.
const TRACE: f64 = (WIDTHS[1] * WIDTHS[2]) as f64
    / (WIDTHS[0] * WIDTHS[1] + WIDTHS[1] * WIDTHS[2] + WIDTHS[2] * WIDTHS[3]) as f64;

/// Prints the variances of estimators of log-determinants.
#[derive(Parser)]
struct Arguments {
    /// The table of digits.
    #[arg(long, default_value = "data/digits.csv.gz")]
    digits: PathBuf,
    /// How long to train the flow.
    #[arg(long, default_value_t = 80.0)]
    seconds: f64,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// One block at a batch.
struct Block {
    name: String,
    /// The certified bound of its Lipschitz constant.
    bound: f64,
    /// The mean of ‖J_r‖.
    norm: f64,
    rows: Vec<Powers>,
    /// The weight of the control variate, fitted to other rows.
    control: f64,
}

/// Of the paper's variance to another.
struct Ratios {
    /// Of variance × products.
    at_equal_products: f64,
    as_it_is: f64,
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let digits = Digits::read(&arguments.digits)?;
    let rows = &digits.held_out()[..2 * ROWS * WIDTHS[0]];
    let random = blocks("random", &digits::random(&Faer::<f64>::sequential())?, rows)?;
    let b = Faer::<f32>::new(arguments.threads)?;
    let trained = digits.train(&b, arguments.threads, arguments.seconds)?;
    println!(
        "six blocks 64-128-128-64 trained on digits to {:.1} nats held out",
        trained.log_likelihood
    );
    let trained = blocks("trained", &trained, rows)?;
    let all = || random.iter().chain(&trained);

    println!(
        "\nvariance of a row's value, mean over {ROWS} rows; in brackets the paper's over it, at equal \
         products and at those that each takes\n"
    );
    println!(
        "                                 {:^10}{:^26}{:^26}{:^26}{:^26}{:^26}\n\
         block      bound  |J|  products {:^10}{:^26}{:^26}{:^26}{:^26}{:^26}",
        "paper's",
        "certified",
        "exact first",
        "and control",
        "orthogonal",
        "both",
        "n=2, 1/2",
        "Rademacher",
        "Rademacher",
        "Rademacher",
        "4 passes",
        "4 passes",
    );
    for block in all() {
        block.print()?;
    }
    let geometric = |ratio: fn(&[Ratios; 5]) -> f64| -> Outcome<f64> {
        let ratios = trained.iter().map(|block| Ok(ratio(&block.ratios()?).ln()));
        let sum: f64 = ratios.collect::<Outcome<Vec<f64>>>()?.iter().sum();
        Ok((sum / trained.len() as f64).exp())
    };
    println!(
        "geometric means over the trained blocks, at equal products and at those that each takes: exact \
         first {:.1}, {:.1}; and control {:.1}, {:.1}",
        geometric(|[_, first, ..]| first.at_equal_products)?,
        geometric(|[_, first, ..]| first.as_it_is)?,
        geometric(|[_, _, control, ..]| control.at_equal_products)?,
        geometric(|[_, _, control, ..]| control.as_it_is)?,
    );
    println!(
        "\nvariance of a row's value × its products, by schedule and probe\n\n\
         block      schedule                    Gaussian   Rademacher   orthogonal\n\
         ---------  ------------------------   ---------   ----------   ----------"
    );
    for block in all() {
        block.print_schedules()?;
    }
    println!(
        "\nvariance of a batch's mean, certified Rademacher probes; what roulette adds to that of the probes\n"
    );
    println!(
        "block      of probes   stratified   one a row   one a batch\n\
         ---------  ---------   ----------   ---------   -----------"
    );
    for block in all() {
        block.print_batch()?;
    }
    Ok(())
}

fn blocks(name: &str, trained: &Trained, rows: &[f64]) -> Outcome<Vec<Block>> {
    let dim = WIDTHS[0];
    let jacobians = jacobians(&trained.parameters, rows)?;
    let blocks = jacobians.iter().zip(&trained.contractions).zip(1..);
    Ok(blocks
        .map(|((matrices, &bound), number)| {
            let mut rows: Vec<Powers> = matrices.iter().map(|j| Powers::of(j, dim)).collect();
            let others = rows.split_off(ROWS);
            Block {
                name: format!("{name} {number}"),
                bound,
                norm: mean(matrices[..ROWS].iter().map(|j| variance::norm(j, dim))),
                control: Powers::best_control(&others, Probe::Rademacher),
                rows,
            }
        })
        .collect())
}

impl Block {
    fn certified(&self) -> Outcome<RouletteSchedule> {
        Ok(RouletteSchedule::certified(self.bound, Quantity::Value)?)
    }

    fn paper(&self) -> Outcome<Cost> {
        let schedule = RouletteSchedule::geometric_unchecked(2, 0.5)?;
        Ok(self.cost(&schedule, Probe::Gaussian, 1, 1))
    }

    /// Certified; certified and exact first; the same with a control variate; certified and orthogonal;
    /// exact first and orthogonal.
    fn ours(&self) -> Outcome<[Cost; 5]> {
        let schedule = self.certified()?;
        let beyond = RouletteSchedule::certified_beyond_trace(self.bound, Quantity::Value)?;
        let with_trace = |cost: Cost| Cost {
            products: cost.products + TRACE,
            ..cost
        };
        Ok([
            self.cost(&schedule, Probe::Rademacher, 1, 1),
            with_trace(self.cost(&beyond, Probe::Rademacher, 1, 2)),
            with_trace(
                self.mean_cost(|row| row.controlled_cost(&beyond, Probe::Rademacher, self.control)),
            ),
            self.cost(&schedule, Probe::Orthogonal, PASSES, 1),
            with_trace(self.cost(&beyond, Probe::Orthogonal, PASSES, 2)),
        ])
    }

    fn ratios(&self) -> Outcome<[Ratios; 5]> {
        let paper = self.paper()?;
        Ok(self.ours()?.map(|cost| {
            let as_it_is = paper.variance / cost.variance;
            Ratios {
                at_equal_products: as_it_is * paper.products / cost.products,
                as_it_is,
            }
        }))
    }

    fn cost(&self, schedule: &RouletteSchedule, probe: Probe, passes: u32, first: usize) -> Cost {
        self.mean_cost(|row| row.cost(schedule, probe, passes, first))
    }

    fn mean_cost(&self, of_row: impl Fn(&Powers) -> Cost) -> Cost {
        let costs: Vec<Cost> = self.rows.iter().map(of_row).collect();
        Cost {
            variance: mean(costs.iter().map(|cost| cost.variance)),
            products: mean(costs.iter().map(|cost| cost.products)),
        }
    }

    fn print(&self) -> Outcome<()> {
        let Self {
            name, bound, norm, ..
        } = self;
        let (paper, ours) = (self.paper()?.variance, self.ours()?);
        let products = ours[0].products;
        print!("{name:<9}  {bound:5.3} {norm:4.2}   {products:7.1} {paper:9.3} ");
        for (cost, ratios) in ours.iter().zip(self.ratios()?) {
            let Ratios {
                at_equal_products,
                as_it_is,
            } = ratios;
            print!(
                "   {:7.4} ({at_equal_products:5.1}, {as_it_is:6.1})",
                cost.variance
            );
        }
        println!();
        Ok(())
    }

    fn print_schedules(&self) -> Outcome<()> {
        let (quantity, square) = (Quantity::Value, self.bound * self.bound);
        let schedules = [
            (
                "paper's, n=2, 1/2",
                RouletteSchedule::geometric_unchecked(2, 0.5)?,
            ),
            (
                "Poisson, n=2, mean 2",
                RouletteSchedule::poisson_unchecked(2, 2.0)?,
            ),
            (
                "geometric, n=1, bound^2",
                RouletteSchedule::geometric(1, square, self.bound, quantity)?,
            ),
            ("certified", self.certified()?),
        ];
        for (name, schedule) in schedules {
            let product = |probe, passes| {
                let Cost { variance, products } = self.cost(&schedule, probe, passes, 1);
                variance * products
            };
            println!(
                "{:<9}  {name:<24}   {:9.3}    {:9.3}    {:9.3}",
                self.name,
                product(Probe::Gaussian, 1),
                product(Probe::Rademacher, 1),
                product(Probe::Orthogonal, PASSES),
            );
        }
        Ok(())
    }

    fn print_batch(&self) -> Outcome<()> {
        let schedule = self.certified()?;
        let (count, probe) = (self.rows.len() as f64, Probe::Rademacher);
        let of_probes: f64 = self.rows.iter().map(|row| row.of_probes(probe, 1, 1)).sum();
        let alone = |row: &Powers| row.of_roulette(&schedule, probe, 1, 1);
        let alone: f64 = self.rows.iter().map(alone).sum();
        let moments = Powers::summed_second_moments(&self.rows, probe);
        let shared = moments.iter().zip(1_u32..).skip(1);
        let shared: f64 = shared
            .map(|(m, k)| variance::increment(&schedule, k) * m)
            .sum();
        let share = |roulette: f64| 100.0 * roulette / of_probes;
        println!(
            "{:<9}  {:9.5}   {:9.2}%   {:8.2}%   {:10.1}%",
            self.name,
            of_probes / (count * count),
            share(self.stratified(&schedule)),
            share(alone),
            share(shared),
        );
        Ok(())
    }

    /// E_v[Var(Σ_r X_r | v)] of stratified numbers of terms, from draws of the library's.
    fn stratified(&self, schedule: &RouletteSchedule) -> f64 {
        let of_probes = (0..PROBES).map(|draw| {
            let rows = self.rows.iter().zip(0_u64..);
            let tails = rows.map(|(row, r)| {
                let key = Key::new(draw);
                let probe: Vec<f64> = (0..WIDTHS[0] as u32)
                    .map(|j| f64::from(key.sign(r, j)))
                    .collect();
                estimates(&row.tails_of(&probe), schedule)
            });
            let estimates: Vec<Vec<f64>> = tails.collect();
            let expected: f64 = estimates.iter().map(|row| row[0]).sum();
            mean((0..ROULETTES).map(|number| {
                let terms = Terms::stratified(Key::new(draw).fold_in(number), estimates.len());
                let sum: f64 = estimates
                    .iter()
                    .enumerate()
                    .map(|(r, row)| {
                        let terms = terms.of_row(schedule, r, estimates.len()) as usize;
                        row[terms.min(row.len() - 1)]
                    })
                    .sum();
                (sum - expected).powi(2)
            }))
        });
        mean(of_probes)
    }
}

/// X for N = 1, 2, … behind its expectation T₁: Σ_{k≤N} (T_k − T_{k+1})/S(k).
fn estimates(tails: &[f64], schedule: &RouletteSchedule) -> Vec<f64> {
    let mut found = vec![tails[0]];
    let mut sum = 0.0;
    for (k, tail) in (1_u32..).zip(tails) {
        let next = tails.get(k as usize).copied().unwrap_or(0.0);
        sum += (tail - next) / schedule.survival(k);
        found.push(sum);
    }
    found
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}
