//! Reads a module: directives, variables, functions.

use super::syntax::{Function, Source, Space, Type, Variable};
use super::token::{Placed, Token, tokens};
use crate::fault::LoadError;

/// The newest PTX that this interpreter was written against.
const NEWEST_VERSION: f64 = 8.8;
/// The device that it plays; code for a newer one is refused, as a driver would.
const ARCHITECTURE: u32 = 75;

/// Reads the text of a module.
pub(crate) fn parse(text: &str) -> Result<Source, LoadError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
    };
    let mut source = Source::default();
    let mut versioned = false;
    while parser.peek().is_some() {
        parser.top_level(&mut source, &mut versioned)?;
    }
    if !versioned {
        return Err(LoadError::at(
            1,
            "no .version directive: is this PTX?".to_owned(),
        ));
    }
    Ok(source)
}

/// The tokens, and how far they are read.
pub(super) struct Parser {
    tokens: Vec<Placed>,
    at: usize,
}

impl Parser {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|placed| &placed.token)
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens
            .get(self.at)
            .or(self.tokens.last())
            .map_or(1, |placed| placed.line)
    }

    /// An error at what was read last.
    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Result<T, LoadError> {
        let last = self.tokens.get(self.at.saturating_sub(1));
        Err(LoadError::at(
            last.map_or(1, |placed| placed.line),
            message.into(),
        ))
    }

    pub(super) fn next(&mut self) -> Result<Token, LoadError> {
        match self.peek().cloned() {
            Some(token) => {
                self.at += 1;
                Ok(token)
            }
            None => self.fail("the text ends in the middle of something"),
        }
    }

    /// Takes the mark if it comes next.
    pub(super) fn took(&mut self, mark: char) -> bool {
        let here = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(here);
        here
    }

    pub(super) fn expect(&mut self, mark: char) -> Result<(), LoadError> {
        if self.took(mark) {
            Ok(())
        } else {
            self.fail(format!("expected `{mark}`"))
        }
    }

    pub(super) fn word(&mut self) -> Result<String, LoadError> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => self.fail("expected a name"),
        }
    }

    pub(super) fn took_word(&mut self, wanted: &str) -> bool {
        let here = matches!(self.peek(), Some(Token::Word(word)) if word == wanted);
        self.at += usize::from(here);
        here
    }

    pub(super) fn integer(&mut self) -> Result<i64, LoadError> {
        let negative = self.took('-');
        match self.peek() {
            Some(&Token::Integer(value)) => {
                self.at += 1;
                let value = value.cast_signed();
                Ok(if negative {
                    value.wrapping_neg()
                } else {
                    value
                })
            }
            _ => self.fail("expected an integer"),
        }
    }

    fn small(&mut self) -> Result<u32, LoadError> {
        let value = self.integer()?;
        u32::try_from(value).or_else(|_| self.fail("expected a count"))
    }

    /// What is left of the line on which the last token stood: debug information.
    pub(super) fn skip_line(&mut self) {
        let line = self.tokens[self.at - 1].line;
        while self.at < self.tokens.len() && self.tokens[self.at].line == line {
            self.at += 1;
        }
    }

    fn top_level(&mut self, source: &mut Source, versioned: &mut bool) -> Result<(), LoadError> {
        let line = self.line();
        let mut external = false;
        loop {
            let word = self.word()?;
            match word.as_str() {
                ".version" => {
                    *versioned = true;
                    return match self.next()? {
                        Token::Double(v) if f64::from_bits(v) <= NEWEST_VERSION => Ok(()),
                        _ => self.fail(format!("PTX newer than version {NEWEST_VERSION}")),
                    };
                }
                ".target" => return self.target(),
                ".address_size" => {
                    return match self.integer()? {
                        64 => Ok(()),
                        _ => self.fail("only .address_size 64 is known"),
                    };
                }
                ".extern" => external = true,
                ".visible" | ".weak" => {}
                ".entry" | ".func" => {
                    let function = self.function(word == ".entry", line)?;
                    source.functions.push(function);
                    return Ok(());
                }
                ".global" | ".const" | ".shared" => {
                    let space = match word.as_str() {
                        ".global" => Space::Global,
                        ".const" => Space::Constant,
                        _ => Space::Shared,
                    };
                    let variable = self.variable(space, external)?;
                    self.expect(';')?;
                    source.variables.push(variable);
                    return Ok(());
                }
                ".file" => {
                    self.skip_line();
                    return Ok(());
                }
                ".section" => {
                    self.word()?;
                    self.expect('{')?;
                    while self.next()? != Token::Mark('}') {}
                    return Ok(());
                }
                other => return self.fail(format!("`{other}` is not known here")),
            }
        }
    }

    fn target(&mut self) -> Result<(), LoadError> {
        loop {
            let word = self.word()?;
            let number = word.strip_prefix("sm_").and_then(|n| n.parse::<u32>().ok());
            match number {
                Some(n) if n <= ARCHITECTURE => {}
                None if word == "debug" => {}
                _ => {
                    return self.fail(format!(
                        "target {word}, but this device is sm_{ARCHITECTURE}: compile for \
                         compute_{ARCHITECTURE} or lower"
                    ));
                }
            }
            if !self.took(',') {
                return Ok(());
            }
        }
    }

    /// After the space: `.align 4 .b8 name[32] = {…}`, without the semicolon.
    pub(super) fn variable(&mut self, space: Space, external: bool) -> Result<Variable, LoadError> {
        let line = self.line();
        let mut align = None;
        let mut count = 1;
        let kind = loop {
            let word = self.word()?;
            match word.as_str() {
                ".align" => align = Some(self.integer()?.cast_unsigned()),
                ".ptr" | ".global" | ".shared" | ".const" | ".local"
                    if space == Space::Parameter => {}
                ".v2" => count = 2,
                ".v4" => count = 4,
                other => match other.strip_prefix('.').and_then(Type::named) {
                    Some(kind) => {
                        // `.u64 .ptr .global .align 8 name`
                        if matches!(self.peek(), Some(Token::Word(w)) if w == ".ptr") {
                            while matches!(self.peek(), Some(Token::Word(w)) if w.starts_with('.'))
                            {
                                if self.took_word(".align") {
                                    self.integer()?;
                                } else {
                                    self.word()?;
                                }
                            }
                        }
                        break kind;
                    }
                    None => return self.fail(format!("`{other}` is no type")),
                },
            }
        };
        let name = self.word()?;
        let mut dynamic = false;
        while self.took('[') {
            if self.took(']') {
                dynamic = true;
                count = 0;
            } else {
                count *= self.integer()?.cast_unsigned();
                self.expect(']')?;
            }
        }
        let width = u64::from(kind.bytes());
        let initial = if self.took('=') {
            self.initial(kind)?
        } else {
            Vec::new()
        };
        if dynamic && !(space == Space::Shared && external) {
            return self.fail(format!(
                "`{name}` has no size; only .extern .shared may have none"
            ));
        }
        if external && !dynamic {
            return self.fail(format!("`{name}` is defined in another module: link it in"));
        }
        if initial.len() as u64 > count * width {
            return self.fail(format!("`{name}` has more initial values than elements"));
        }
        let align = align.unwrap_or(width);
        if !align.is_power_of_two() {
            return self.fail("an alignment that is no power of two");
        }
        Ok(Variable {
            name,
            space,
            align,
            bytes: count * width,
            initial,
            dynamic,
            line,
        })
    }

    fn initial(&mut self, kind: Type) -> Result<Vec<u8>, LoadError> {
        let mut bytes = Vec::new();
        if self.took('{') {
            while !self.took('}') {
                bytes.extend(self.initial(kind)?);
                if !self.took(',') {
                    self.expect('}')?;
                    break;
                }
            }
            return Ok(bytes);
        }
        let negative = self.took('-');
        let bits = match self.next()? {
            Token::Integer(v) if negative => v.wrapping_neg(),
            Token::Integer(v) | Token::Double(v) if !negative => v,
            Token::Single(v) if !negative => u64::from(v),
            _ => return self.fail("an initial value that is no number"),
        };
        Ok(bits.to_le_bytes()[..usize::from(kind.bytes())].to_vec())
    }

    fn parameters(&mut self) -> Result<Vec<Variable>, LoadError> {
        let mut found = Vec::new();
        if !self.took('(') {
            return Ok(found);
        }
        while !self.took(')') {
            match self.word()?.as_str() {
                ".param" => found.push(self.variable(Space::Parameter, false)?),
                other => return self.fail(format!("expected .param, found {other}")),
            }
            if !self.took(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(found)
    }

    fn function(&mut self, entry: bool, line: u32) -> Result<Function, LoadError> {
        let results = if entry {
            Vec::new()
        } else {
            self.parameters()?
        };
        let name = self.word()?;
        let parameters = self.parameters()?;
        let (mut most_threads, mut required_threads) = (None, None);
        let body = loop {
            if self.took(';') {
                break None;
            }
            if self.took('{') {
                break Some(self.body()?);
            }
            let word = self.word()?;
            match word.as_str() {
                ".maxntid" => most_threads = Some(self.dimensions()?.iter().product()),
                ".reqntid" => required_threads = Some(self.dimensions()?),
                ".minnctapersm" | ".maxnreg" => {
                    self.small()?;
                }
                ".noreturn" => {}
                other => return self.fail(format!("`{other}` is not known of a function")),
            }
        };
        let function = Function {
            name,
            entry,
            parameters,
            results,
            body,
            most_threads,
            required_threads,
            line,
        };
        Ok(function)
    }

    fn dimensions(&mut self) -> Result<[u32; 3], LoadError> {
        let mut sizes = [1; 3];
        for size in &mut sizes {
            *size = self.small()?;
            if !self.took(',') {
                break;
            }
        }
        Ok(sizes)
    }
}
