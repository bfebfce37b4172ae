//! What the firmware may take, and what it took when this was last recorded.

use detfree_firmware::RECORDING;

use crate::board::Run;
use crate::image::Image;

/// Flash of the mathematics on the smaller board.
const FLASH: u64 = 16 * 1024;
/// Stack at four channels.
const STACK: u64 = 2 * 1024;
/// A measurement may exceed what was recorded by this share: another release of the compiler moves
/// it so much.
const SLACK: f64 = 0.03;

/// The first line of the README's table.
pub(crate) const HEADING: &str = "| | flash: the mathematics | flash: the whole program | static RAM | \
    stack: unmixing | stack: an estimate | instructions: a sample | the slowest sample | an estimate |";

/// The figures of a board.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) board: &'static str,
    /// Flash of the mathematics: code and constants.
    pub(crate) module_flash: u64,
    /// Flash of the whole program, with vectors, start-up code and report.
    pub(crate) firmware_flash: u64,
    /// Static variables.
    pub(crate) ram: u64,
    /// Stack, all callers included.
    pub(crate) unmix_stack: u64,
    pub(crate) estimate_stack: u64,
    /// Instructions of a sample, on average and at most, and of an estimate.
    pub(crate) sample: u64,
    pub(crate) slowest_sample: u64,
    pub(crate) estimate: u64,
}

pub(crate) const RECORDED: [Row; 2] = [
    Row {
        board: "Cortex-M4F",
        module_flash: 15_950,
        firmware_flash: 21_332,
        ram: 268,
        unmix_stack: 1504,
        estimate_stack: 1536,
        sample: 11_940,
        slowest_sample: 12_015,
        estimate: 4_052_948,
    },
    Row {
        board: "Cortex-M7",
        module_flash: 10_728,
        firmware_flash: 15_992,
        ram: 268,
        unmix_stack: 1448,
        estimate_stack: 1476,
        sample: 4034,
        slowest_sample: 4034,
        estimate: 1_497_534,
    },
];

impl Row {
    pub(crate) fn new(board: &'static str, module: &Image, firmware: &Image, run: &Run) -> Self {
        Self {
            board,
            module_flash: module.flash,
            firmware_flash: firmware.flash,
            ram: firmware.ram,
            unmix_stack: run.count("unmix_stack"),
            estimate_stack: run.count("estimate_stack"),
            sample: run.instructions("unmix_ticks") / u64::from(RECORDING),
            slowest_sample: run.instructions("unmix_most_ticks"),
            estimate: run.instructions("estimate_ticks"),
        }
    }

    const fn figures(&self) -> [(&'static str, u64); 8] {
        [
            ("flash of the mathematics", self.module_flash),
            ("flash of the program", self.firmware_flash),
            ("RAM", self.ram),
            ("stack of unmixing", self.unmix_stack),
            ("stack of an estimate", self.estimate_stack),
            ("instructions of a sample", self.sample),
            ("instructions of the slowest sample", self.slowest_sample),
            ("instructions of an estimate", self.estimate),
        ]
    }

    /// A line of the README's table.
    pub(crate) fn line(&self) -> String {
        let figures = self.figures().map(|(_, figure)| grouped(figure));
        format!("| {} | {} |", self.board, figures.join(" | "))
    }

    /// What exceeds its bound. Prints what could be recorded anew.
    pub(crate) fn check(&self) -> Vec<String> {
        let Self { board, .. } = self;
        let mut errors = Vec::new();
        let mut at_most = |what: &str, figure: u64, bound: u64| {
            if figure > bound {
                errors.push(format!(
                    "{board}: {what}: {figure}, at most {bound} allowed"
                ));
            }
        };
        at_most("flash of the mathematics", self.module_flash, FLASH);
        at_most("stack of unmixing", self.unmix_stack, STACK);
        at_most("stack of an estimate", self.estimate_stack, STACK);
        let Some(recorded) = RECORDED.iter().find(|row| row.board == *board) else {
            return vec![format!("{board}: nothing is recorded in bounds.rs")];
        };
        for ((what, figure), (_, old)) in self.figures().into_iter().zip(recorded.figures()) {
            at_most(what, figure, (old as f64 * (1.0 + SLACK)) as u64);
            if (figure as f64) < old as f64 * (1.0 - SLACK) {
                println!("{board}: {what}: {figure}, down from {old}: record it in bounds.rs");
            }
        }
        errors
    }
}

/// 12345678 as 12,345,678.
fn grouped(n: u64) -> String {
    match n / 1000 {
        0 => n.to_string(),
        thousands => format!("{},{:03}", grouped(thousands), n % 1000),
    }
}
