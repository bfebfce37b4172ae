//! Lines of text for a debugger's console, without `core::fmt`.

use cortex_m_semihosting::hio::{self, HostStream};

/// A line a number: its name, the number in decimals, and its bits for who compares.
pub(crate) struct Report(HostStream);

impl Report {
    /// `None` where no debugger listens.
    pub(crate) fn open() -> Option<Self> {
        hio::hstdout().ok().map(Self)
    }

    pub(crate) fn count(&mut self, name: &str, n: u64) -> Option<()> {
        self.write(name.as_bytes())?;
        self.write(b" ")?;
        self.digits(n, 1, 10)?;
        self.write(b"\n")
    }

    /// Decimals to a millionth, below nine billions.
    pub(crate) fn number(&mut self, name: &str, x: f64) -> Option<()> {
        const MILLIONTHS: u64 = 1_000_000;
        let rounded = (x.abs() * MILLIONTHS as f64 + 0.5) as u64;
        self.write(name.as_bytes())?;
        self.write(if x < 0.0 { b" -" } else { b" " })?;
        self.digits(rounded / MILLIONTHS, 1, 10)?;
        self.write(b".")?;
        self.digits(rounded % MILLIONTHS, 6, 10)?;
        self.write(b" ")?;
        self.digits(x.to_bits(), 16, 16)?;
        self.write(b"\n")
    }

    /// At least `width` digits of n.
    fn digits(&mut self, mut n: u64, width: usize, base: u64) -> Option<()> {
        let mut digits = [b'0'; 20];
        let mut length = 0;
        for digit in digits.iter_mut().rev() {
            *digit = match (n % base) as u8 {
                value @ 0..10 => b'0' + value,
                value => b'a' + value - 10,
            };
            n /= base;
            length += 1;
            if n == 0 && length >= width {
                break;
            }
        }
        self.write(digits.get(digits.len() - length..)?)
    }

    fn write(&mut self, text: &[u8]) -> Option<()> {
        self.0.write_all(text).ok()
    }
}
