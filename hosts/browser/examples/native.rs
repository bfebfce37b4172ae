//! The same code on this machine, for `test/module.mjs` and `test/speed.mjs` to compare the modules with:
//! `native golden` prints the figures and the model of short fits as bits, `native speed METHOD` steps in a
//! second.

use std::env::args;
use std::fmt::Write;
use std::time::Instant;

use detfree_browser::{Method, Run, toy};

/// The points and the seed of both.
const COUNT: usize = 2_000;
const SEED: u32 = 7;

fn start(method: u32) -> Result<Run, String> {
    let method = Method::from_number(method).ok_or("There is no such method.")?;
    let names = ["x", "y"].map(str::to_owned);
    Run::new(method, &toy(0, COUNT, SEED), names, SEED)
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bits(numbers: &[f64]) -> String {
    hex(numbers.iter().flat_map(|x| x.to_le_bytes()))
}

/// Two epochs and some steps, so that every part of training has its turn.
fn golden(method: u32) -> Result<(), String> {
    let mut run = start(method)?;
    run.train(20)?;
    run.train(23)?;
    println!("{method} figures {}", bits(&run.figures().to_vec()));
    println!("{method} model {}", hex(run.model_file()?));
    let points = toy(3, 300, SEED);
    println!(
        "{method} density {}",
        bits(&run.density().log_density(&points)?)
    );
    println!("{method} samples {}", bits(&run.sample(100)?));
    Ok(())
}

/// Steps a second, in so many seconds.
fn speed(method: u32, seconds: f64) -> Result<f64, String> {
    let mut run = start(method)?;
    run.train(20)?;
    let (clock, mut steps) = (Instant::now(), 0.0);
    loop {
        run.train(5)?;
        steps += 5.0;
        let taken = clock.elapsed().as_secs_f64();
        if taken > seconds {
            return Ok(steps / taken);
        }
    }
}

fn main() -> Result<(), String> {
    let mut words = args().skip(1);
    let (what, method) = (words.next(), words.next());
    match (what.as_deref(), method.and_then(|m| m.parse().ok())) {
        (Some("golden"), None) => (0..3).try_for_each(golden),
        (Some("speed"), Some(method)) => {
            println!("{}", speed(method, 1.0)?);
            Ok(())
        }
        _ => Err("usage: native golden | native speed METHOD".to_owned()),
    }
}
