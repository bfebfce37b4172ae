//! Splits PTX text into words, numbers and marks.

use crate::fault::LoadError;

/// One piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// An opcode with its modifiers, a directive, a register, a label or a symbol.
    Word(String),
    Integer(u64),
    /// `0f3F800000`
    Single(u32),
    /// `0d3FF0000000000000`, or a decimal fraction.
    Double(u64),
    Text,
    Mark(char),
}

/// A token and the line, counted from one, on which it stands.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) token: Token,
    pub(crate) line: u32,
}

fn begins_word(c: u8) -> bool {
    c.is_ascii_alphabetic() || matches!(c, b'_' | b'$' | b'%' | b'.')
}

fn continues_word(c: u8) -> bool {
    begins_word(c) || c.is_ascii_digit()
}

/// Splits `text`; comments vanish.
pub(crate) fn tokens(text: &str) -> Result<Vec<Placed>, LoadError> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let c = bytes[at];
        let start = at;
        let token = if c == b'\n' {
            line += 1;
            at += 1;
            continue;
        } else if c.is_ascii_whitespace() {
            at += 1;
            continue;
        } else if bytes[at..].starts_with(b"//") {
            at += length(&bytes[at..], |c| c != b'\n');
            continue;
        } else if bytes[at..].starts_with(b"/*") {
            let end = text[at..].find("*/").map_or(bytes.len(), |n| at + n + 2);
            line += text[at..end].matches('\n').count() as u32;
            at = end;
            continue;
        } else if c == b'"' {
            at += 1 + length(&bytes[at + 1..], |c| c != b'"' && c != b'\n') + 1;
            Token::Text
        } else if c.is_ascii_digit() {
            at += length(&bytes[at..], |c| c.is_ascii_alphanumeric() || c == b'.');
            let number = &text[start..at];
            number_of(number).ok_or_else(|| {
                LoadError::at(line, format!("`{number}` is no number that PTX knows"))
            })?
        } else if begins_word(c) {
            loop {
                at += length(&bytes[at..], continues_word);
                if !bytes[at..].starts_with(b"::") {
                    break;
                }
                at += 2;
            }
            Token::Word(text[start..at].to_owned())
        } else if c.is_ascii() {
            at += 1;
            Token::Mark(char::from(c))
        } else {
            return Err(LoadError::at(line, "a character outside ASCII".to_owned()));
        };
        found.push(Placed { token, line });
    }
    Ok(found)
}

fn length(bytes: &[u8], keep: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&c| !keep(c)).unwrap_or(bytes.len())
}

fn number_of(word: &str) -> Option<Token> {
    let hexadecimal = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let lower = word.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0f").filter(|d| d.len() == 8) {
        return Some(Token::Single(u32::try_from(hexadecimal(digits)?).ok()?));
    }
    if let Some(digits) = lower.strip_prefix("0d").filter(|d| d.len() == 16) {
        return Some(Token::Double(hexadecimal(digits)?));
    }
    if lower.contains('.') {
        return Some(Token::Double(lower.parse::<f64>().ok()?.to_bits()));
    }
    let digits = lower.trim_end_matches('u');
    let value = if let Some(digits) = digits.strip_prefix("0x") {
        hexadecimal(digits)?
    } else if let Some(digits) = digits.strip_prefix("0b") {
        u64::from_str_radix(digits, 2).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(Token::Integer(value))
}
