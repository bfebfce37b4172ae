//! The interface in WebAssembly: plain functions of one [`Module`], whose buffers JavaScript reads and
//! writes where they lie. Memory may grow in any call, so views of it are made anew after each.
//!
//! A function that can fail returns 0 and leaves a sentence for the user in the text.
#![expect(
    unsafe_code,
    reason = "an exported name counts as unsafe, as two libraries might have it; there is no other here"
)]

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use detfree_flows::toy::Toy;

use crate::{LEAST, MOST, Method, Run, toy};

/// Nothing that goes in or out has more numbers or bytes than this.
const MOST_NUMBERS: usize = 1 << 17;

/// A fit, if one has been started, and what goes in and out.
#[derive(Default)]
pub struct Module {
    input: Vec<f64>,
    text: Vec<u8>,
    numbers: Vec<f64>,
    bytes: Vec<u8>,
    run: Option<Run>,
}

impl Module {
    fn answer(&mut self, call: impl FnOnce(&mut Self) -> Result<u32, String>) -> u32 {
        call(self).unwrap_or_else(|reason| {
            self.text = reason.into_bytes();
            0
        })
    }

    fn run(&mut self) -> Result<&mut Run, String> {
        let none = || "Nothing has been started yet.".to_owned();
        self.run.as_mut().ok_or_else(none)
    }
}

/// A module, whose address is the first argument of all that follow.
#[unsafe(no_mangle)]
pub extern "C" fn module() -> Box<Module> {
    Box::default()
}

/// Where so many numbers may be written, after which they are the input: points for [`start`] or
/// [`density`], x and y by turns; null where they are too many.
#[unsafe(no_mangle)]
pub extern "C" fn input(module: &mut Module, count: usize) -> *mut f64 {
    room(&mut module.input, count)
}

/// Where so many bytes may be written, after which they are the text; null where they are too many.
#[unsafe(no_mangle)]
pub extern "C" fn text_input(module: &mut Module, count: usize) -> *mut u8 {
    room(&mut module.text, count)
}

fn room<T: Default + Clone>(buffer: &mut Vec<T>, count: usize) -> *mut T {
    if count > MOST_NUMBERS {
        return core::ptr::null_mut();
    }
    buffer.clear();
    buffer.resize(count, T::default());
    buffer.as_mut_ptr()
}

/// Where the text is.
#[unsafe(no_mangle)]
pub const extern "C" fn text(module: &Module) -> *const u8 {
    module.text.as_ptr()
}

/// How many bytes of UTF-8 it has.
#[unsafe(no_mangle)]
pub const extern "C" fn text_length(module: &Module) -> usize {
    module.text.len()
}

/// Where the resulting numbers are.
#[unsafe(no_mangle)]
pub const extern "C" fn numbers(module: &Module) -> *const f64 {
    module.numbers.as_ptr()
}

/// How many there are.
#[unsafe(no_mangle)]
pub const extern "C" fn numbers_length(module: &Module) -> usize {
    module.numbers.len()
}

/// Where the resulting bytes are.
#[unsafe(no_mangle)]
pub const extern "C" fn bytes(module: &Module) -> *const u8 {
    module.bytes.as_ptr()
}

/// How many there are.
#[unsafe(no_mangle)]
pub const extern "C" fn bytes_length(module: &Module) -> usize {
    module.bytes.len()
}

/// The fewest points and the most, as numbers; for every toy distribution its name and, as the next number, its entropy or
/// NaN, as lines of text.
#[unsafe(no_mangle)]
pub extern "C" fn limits(module: &mut Module) -> u32 {
    module.answer(|module| {
        let names: Vec<&str> = Toy::ALL.iter().map(|toy| toy.name()).collect();
        module.text = names.join("\n").into_bytes();
        let entropies = Toy::ALL.iter().map(|toy| toy.entropy().unwrap_or(f64::NAN));
        module.numbers = [LEAST as f64, MOST as f64]
            .into_iter()
            .chain(entropies)
            .collect();
        Ok(1)
    })
}

/// Numbers: points of a toy distribution, x and y by turns.
#[unsafe(no_mangle)]
pub extern "C" fn toy_points(module: &mut Module, number: usize, count: usize, seed: u32) -> u32 {
    module.answer(|module| {
        module.numbers = toy(number, count, seed);
        Ok(1)
    })
}

/// Starts a fit of the input by a method of this number; the text holds the names of both columns, each a
/// line.
#[unsafe(no_mangle)]
pub extern "C" fn start(module: &mut Module, method: u32, seed: u32) -> u32 {
    module.answer(|module| {
        let method = Method::from_number(method).ok_or("There is no such method.")?;
        let text = core::str::from_utf8(&module.text).unwrap_or_default();
        let mut names = text.split('\n').map(str::to_owned);
        let names = ["x", "y"].map(|usual| names.next().unwrap_or_else(|| usual.to_owned()));
        module.run = Some(Run::new(method, &module.input, names, seed)?);
        Ok(1)
    })
}

/// Takes steps: 1 where there are more to be taken, 2 where training has ended.
#[unsafe(no_mangle)]
pub extern "C" fn train(module: &mut Module, steps: u32) -> u32 {
    module.answer(|module| Ok(if module.run()?.train(steps)? { 1 } else { 2 }))
}

/// Numbers: the figures, in the order of [`crate::Figures`].
#[unsafe(no_mangle)]
pub extern "C" fn figures(module: &mut Module) -> u32 {
    module.answer(|module| {
        module.numbers = module.run()?.figures().to_vec();
        Ok(1)
    })
}

/// Numbers: log p at the points of the input.
#[unsafe(no_mangle)]
pub extern "C" fn density(module: &mut Module) -> u32 {
    module.answer(|module| {
        let input = core::mem::take(&mut module.input);
        module.numbers = module.run()?.density().log_density(&input)?;
        Ok(1)
    })
}

/// Numbers: samples of the model, x and y by turns.
#[unsafe(no_mangle)]
pub extern "C" fn sample(module: &mut Module, count: usize) -> u32 {
    module.answer(|module| {
        module.numbers = module.run()?.sample(count.min(MOST_NUMBERS / 2))?;
        Ok(1)
    })
}

/// Numbers: the held-out points, x and y by turns.
#[unsafe(no_mangle)]
pub extern "C" fn held_out(module: &mut Module) -> u32 {
    module.answer(|module| {
        module.numbers = module.run()?.held_out().to_vec();
        Ok(1)
    })
}

/// Bytes: the model file.
#[unsafe(no_mangle)]
pub extern "C" fn model(module: &mut Module) -> u32 {
    module.answer(|module| {
        module.bytes = module.run()?.model_file()?;
        Ok(1)
    })
}
