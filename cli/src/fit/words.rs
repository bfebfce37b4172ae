//! Settings of a run in words: checkpoints have them as Rust writes values for programmers.

use std::iter::{Peekable, zip};
use std::str::Chars;

/// How a setting of a checkpoint differs from the one asked for.
pub(super) fn difference(setting: &str, found: &str, expected: &str) -> String {
    let [was, is] = [found, expected].map(Value::read);
    let differing = match (setting, &was, &is) {
        // What a residual flow is trained with is one setting of many.
        ("training", Some(was), Some(is)) => zip(&was.parts, &is.parts)
            .filter(|(was, is)| was != is)
            .map(|((name, was), (_, is))| (field(name), was.in_words(), is.in_words()))
            .collect(),
        (_, Some(was), Some(is)) => vec![(setting, was.in_words(), is.in_words())],
        _ => match [found, expected].map(unmarked) {
            [found, expected] if found == expected => {
                return format!("its {setting} is another one than here");
            }
            [found, expected] => vec![(setting, found, expected)],
        },
    };
    let differing = differing
        .iter()
        .map(|(setting, was, is)| format!("its {setting} is {was}, here it is {is}"));
    differing.collect::<Vec<_>>().join("; ")
}

/// Without the mark that tells numbers from others, and says nothing else of them.
fn unmarked(text: &str) -> String {
    let (words, _) = text.split_once("mark ").unwrap_or((text, ""));
    words.trim_end_matches(" with ").to_owned()
}

/// What a person calls a field of a residual flow's training.
fn field(name: &str) -> &str {
    match name {
        "average" => "decay of averaged weights (--ema)",
        "warm_up" => "number of warm-up steps",
        "shards" => "number of shards",
        name => name,
    }
}

/// `name`, `name { field: value, … }` or `name(value, …)`; names of fields in tuples and lists are empty.
#[derive(Debug, PartialEq)]
struct Value {
    name: String,
    parts: Vec<(String, Value)>,
}

impl Value {
    /// `None` where a text is of no such form, and then in words already.
    fn read(text: &str) -> Option<Self> {
        let mut text = text.chars().peekable();
        let value = Self::next(&mut text)?;
        text.next().is_none().then_some(value)
    }

    fn next(text: &mut Peekable<Chars<'_>>) -> Option<Self> {
        let name = word(text);
        let mut parts = Vec::new();
        while text.next_if_eq(&' ').is_some() {}
        let end = match text.peek() {
            Some('{') => '}',
            Some('(') => ')',
            Some('[') => ']',
            _ if name.is_empty() => return None,
            _ => return Some(Self { name, parts }),
        };
        text.next();
        loop {
            while text.next_if(|c| matches!(c, ' ' | ',')).is_some() {}
            if text.next_if_eq(&end).is_some() {
                return Some(Self { name, parts });
            }
            let field = match end {
                '}' => word(text),
                _ => String::new(),
            };
            while text.next_if(|c| matches!(c, ' ' | ':')).is_some() {}
            parts.push((field, Self::next(text)?));
        }
    }

    /// As an option takes it.
    fn in_words(&self) -> String {
        let parts = || self.parts.iter().map(|(_, part)| part.in_words());
        match (&*self.name, &*self.parts) {
            ("Some" | "Series", [(_, part), ..]) => return part.in_words(),
            ("HyperbolicSecant", _) => return "secant".to_owned(),
            ("Explicit", _) => return "exact".to_owned(),
            ("Certified", _) => return "roulette".to_owned(),
            _ => {}
        }
        let name = match &*self.name {
            "Geometric" => "roulette".to_owned(),
            name => hyphenated(name),
        };
        match self.parts.is_empty() {
            true => name,
            false => format!("{name}:{}", parts().collect::<Vec<_>>().join(",")),
        }
    }
}

fn word(text: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(c) = text.next_if(|c| c.is_alphanumeric() || "_.+-".contains(*c)) {
        word.push(c);
    }
    word
}

/// `LeakySoftplus` as leaky-softplus.
fn hyphenated(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.extend(c.to_lowercase());
    }
    words
}
