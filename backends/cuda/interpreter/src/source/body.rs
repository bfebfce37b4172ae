//! Reads what stands between the braces of a function.

use super::parse::Parser;
use super::syntax::{Guard, Operand, Space, Statement, Type, Written};
use super::token::Token;
use crate::fault::LoadError;

impl Parser {
    /// After the opening brace, to and with the closing one.
    pub(super) fn body(&mut self) -> Result<Vec<Statement>, LoadError> {
        let mut found = Vec::new();
        let mut depth = 0;
        loop {
            let line = self.line();
            if self.took('{') {
                depth += 1;
                found.push(Statement::Open);
                continue;
            }
            if self.took('}') {
                if depth == 0 {
                    return Ok(found);
                }
                depth -= 1;
                found.push(Statement::Close);
                continue;
            }
            if self.took(';') {
                continue;
            }
            if self.took('@') {
                let negated = self.took('!');
                let register = self.word()?;
                let opcode = self.word()?;
                let guard = Some(Guard { register, negated });
                found.push(self.instruction(line, guard, opcode)?);
                continue;
            }
            let word = self.word()?;
            match word.as_str() {
                ".reg" => found.push(self.registers(line)?),
                ".local" | ".shared" | ".param" => {
                    let space = match word.as_str() {
                        ".shared" => Space::Shared,
                        // The parameters of a call are memory of the calling thread.
                        _ => Space::Local,
                    };
                    let variable = self.variable(space, false)?;
                    self.expect(';')?;
                    found.push(Statement::Variable(variable));
                }
                ".loc" => self.skip_line(),
                ".pragma" => while self.next()? != Token::Mark(';') {},
                other if other.starts_with('.') => {
                    return self.fail(format!("`{other}` is not known in a function"));
                }
                _ if self.took(':') => found.push(self.label(word, line)?),
                _ => found.push(self.instruction(line, None, word)?),
            }
        }
    }

    fn label(&mut self, name: String, line: u32) -> Result<Statement, LoadError> {
        if !self.took_word(".branchtargets") {
            return Ok(Statement::Label { name, line });
        }
        let mut labels = vec![self.word()?];
        while self.took(',') {
            labels.push(self.word()?);
        }
        self.expect(';')?;
        Ok(Statement::Targets { name, labels })
    }

    fn registers(&mut self, line: u32) -> Result<Statement, LoadError> {
        let word = self.word()?;
        let Some(kind) = word.strip_prefix('.').and_then(Type::named) else {
            return self.fail(format!(
                "`{word}` is no type of a register that is known here"
            ));
        };
        let mut names = Vec::new();
        loop {
            let name = self.word()?;
            let count = if self.took('<') {
                let count = self.integer()?;
                self.expect('>')?;
                Some(u32::try_from(count).or_else(|_| self.fail("expected a count"))?)
            } else {
                None
            };
            names.push((name, count));
            if !self.took(',') {
                break;
            }
        }
        self.expect(';')?;
        Ok(Statement::Registers { kind, names, line })
    }

    fn instruction(
        &mut self,
        line: u32,
        guard: Option<Guard>,
        opcode: String,
    ) -> Result<Statement, LoadError> {
        let mut operands = Vec::new();
        if !self.took(';') {
            loop {
                operands.push(self.operand()?);
                if self.took(';') {
                    break;
                }
                self.expect(',')?;
            }
        }
        Ok(Statement::Instruction(Written {
            line,
            guard,
            opcode,
            operands,
        }))
    }

    fn operand(&mut self) -> Result<Operand, LoadError> {
        let first = self.simple()?;
        if self.took('|') {
            return Ok(Operand::Two(Box::new(first), Box::new(self.simple()?)));
        }
        Ok(first)
    }

    fn simple(&mut self) -> Result<Operand, LoadError> {
        if self.took('[') {
            let base = match self.peek() {
                Some(Token::Word(_)) => Some(self.word()?),
                _ => None,
            };
            let offset = match (&base, self.took('+')) {
                (None, _) | (_, true) => self.integer()?,
                (Some(_), false) if self.peek() == Some(&Token::Mark('-')) => self.integer()?,
                (Some(_), false) => 0,
            };
            self.expect(']')?;
            return Ok(Operand::Address(base, offset));
        }
        for (open, close) in [('{', '}'), ('(', ')')] {
            if self.took(open) {
                let mut items = Vec::new();
                while !self.took(close) {
                    items.push(self.simple()?);
                    if !self.took(',') {
                        self.expect(close)?;
                        break;
                    }
                }
                return Ok(Operand::List(items));
            }
        }
        if self.took('!') {
            return Ok(Operand::Not(self.word()?));
        }
        if self.took('-') {
            return match self.next()? {
                Token::Integer(value) => Ok(Operand::Integer(value.wrapping_neg())),
                Token::Double(value) => Ok(Operand::Double(value ^ (1 << 63))),
                _ => self.fail("a minus sign before something that is no number"),
            };
        }
        match self.next()? {
            Token::Integer(value) => Ok(Operand::Integer(value)),
            Token::Single(bits) => Ok(Operand::Single(bits)),
            Token::Double(bits) => Ok(Operand::Double(bits)),
            Token::Word(word) => {
                let sum = self.took('+') || self.peek() == Some(&Token::Mark('-'));
                let offset = if sum { self.integer()? } else { 0 };
                Ok(Operand::Name(word, offset))
            }
            _ => self.fail("expected an operand"),
        }
    }
}
