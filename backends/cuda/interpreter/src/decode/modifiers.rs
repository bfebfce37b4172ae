//! The words of an opcode after the first; each must be taken by someone.

use crate::arithmetic::rounding::Rounding;
use crate::source::Type;

pub(super) struct Modifiers {
    base: String,
    rest: Vec<String>,
}

impl Modifiers {
    pub(super) fn of(opcode: &str) -> Self {
        let mut words = opcode.split('.').map(str::to_owned);
        Self {
            base: words.next().unwrap_or_default(),
            rest: words.collect(),
        }
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The first word that nobody took.
    pub(super) fn rest(&self) -> Option<&str> {
        self.rest.first().map(String::as_str)
    }

    pub(super) fn take(&mut self, word: &str) -> bool {
        self.choose(&[(word, ())]).is_some()
    }

    /// The value beside the first of these words that is there.
    pub(super) fn choose<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        let found = self.rest.iter().enumerate().find_map(|(at, word)| {
            table
                .iter()
                .find(|(name, _)| name == word)
                .map(|&(_, value)| (at, value))
        });
        found.map(|(at, value)| {
            self.rest.remove(at);
            value
        })
    }

    /// The first type named.
    pub(super) fn kind(&mut self) -> Option<Type> {
        let at = self
            .rest
            .iter()
            .position(|word| Type::named(word).is_some())?;
        Type::named(&self.rest.remove(at))
    }

    /// The type that is going to be taken.
    pub(super) fn kind_ahead(&self) -> Option<Type> {
        self.rest.iter().find_map(|word| Type::named(word))
    }

    pub(super) fn rounding(&mut self) -> Option<Rounding> {
        self.choose(&[
            ("rn", Rounding::Nearest),
            ("rz", Rounding::Zero),
            ("rm", Rounding::Down),
            ("rp", Rounding::Up),
        ])
    }
}
