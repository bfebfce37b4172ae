//! Branches, calls, barriers, and what the lanes of a warp exchange.

use std::collections::HashMap;

use super::modifiers::Modifiers;
use super::{Binding, Decoder, Result};
use crate::instruction::{BarrierReduction, NONE, Op, Sense, Shuffle, Slot, Vote};
use crate::source::{Operand, Type, Variable};

const WORD: Type = Type::Bits(4);

impl Decoder<'_> {
    /// False where the instruction belongs to another family.
    pub(super) fn control(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<bool> {
        match base {
            "bra" => {
                m.take("uni");
                let [Operand::Name(label, 0)] = self.operands(o)? else {
                    return self.fail("a branch needs a label");
                };
                self.jump(label);
            }
            "brx" => self.table(m, o)?,
            "call" => self.call(m, o)?,
            "ret" | "exit" => {
                m.take("uni");
                let [] = self.operands(o)?;
                let depth = self.frames.len();
                let at = self.kernel.code.len();
                self.push(Op::Exit);
                if let Some(frame) = self.frames.last_mut()
                    && base == "ret"
                    && depth > 1
                {
                    frame.returns.push(at);
                }
            }
            "trap" => self.push(Op::Trap),
            "nanosleep" => {
                m.take("u32");
            }
            "bar" | "barrier" => self.barrier(base, m, o)?,
            "shfl" => self.shuffle(m, o)?,
            "vote" => self.vote(m, o)?,
            "activemask" => {
                m.take("b32");
                let [d] = self.operands(o)?;
                let d = self.write(d, WORD)?;
                self.push(Op::ActiveMask { d });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn jump(&mut self, label: &str) {
        let (at, line) = (self.kernel.code.len(), self.line);
        self.push(Op::Branch { target: 0 });
        if let Some(frame) = self.frames.last_mut() {
            frame.jumps.push((at, label.to_owned(), line));
        }
    }

    fn table(&mut self, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        m.take("uni");
        if !m.take("idx") {
            return self.fail("`.idx` is needed");
        }
        let [a, Operand::Name(name, 0)] = self.operands(o)? else {
            return self.fail("a branch by index needs a list of targets");
        };
        let a = self.read(a, Type::Unsigned(4))?;
        let line = self.line;
        let first = self.kernel.targets.len();
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        let Some(labels) = frame.tables.get(name).cloned() else {
            return self.fail(format!("no list of targets `{name}` before this line"));
        };
        for (index, label) in labels.iter().enumerate() {
            frame.entries.push((first + index, label.clone(), line));
        }
        self.kernel.targets.resize(first + labels.len(), 0);
        self.push(Op::BranchTable {
            a,
            first: first as u32,
            count: labels.len() as u32,
        });
        Ok(())
    }

    /// Expands the function that is called. Its parameters are variables of the caller.
    fn call(&mut self, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        m.take("uni");
        let (results, name, arguments): (&[Operand], _, &[Operand]) = match o {
            [Operand::Name(name, 0)] => (&[], name, &[]),
            [Operand::Name(name, 0), Operand::List(arguments)] => (&[], name, arguments),
            [Operand::List(results), Operand::Name(name, 0)] => (results, name, &[]),
            [
                Operand::List(results),
                Operand::Name(name, 0),
                Operand::List(arguments),
            ] => (results, name, arguments),
            _ => return self.fail("a call by a register is not known"),
        };
        let source = self.source;
        let mut candidates = source
            .functions
            .iter()
            .filter(|function| !function.entry && function.name == *name);
        let Some(function) = candidates.next() else {
            return self.fail(format!(
                "`{name}` is called, but is no function of this module"
            ));
        };
        let function = candidates
            .find(|candidate| candidate.body.is_some())
            .unwrap_or(function);
        let mut names = HashMap::new();
        self.pass(&function.results, results, &mut names)?;
        self.pass(&function.parameters, arguments, &mut names)?;
        let (guard, sense) = self.guard;
        self.guard = (NONE, Sense::Always);
        // A guarded call: those for whom the guard does not hold jump over it.
        let skip = self.kernel.code.len();
        if sense != Sense::Always {
            let inverse = if sense == Sense::If {
                Sense::Unless
            } else {
                Sense::If
            };
            self.guard = (guard, inverse);
            self.push(Op::Branch { target: 0 });
            self.guard = (NONE, Sense::Always);
        }
        let line = self.line;
        self.expand(function, names)?;
        self.line = line;
        if sense != Sense::Always {
            let target = self.kernel.code.len() as u32;
            self.kernel.code[skip].op = Op::Branch { target };
        }
        Ok(())
    }

    fn pass(
        &mut self,
        formal: &[Variable],
        actual: &[Operand],
        names: &mut HashMap<String, Binding>,
    ) -> Result<()> {
        if formal.len() != actual.len() {
            return self.fail("a call with a wrong number of arguments");
        }
        for (variable, operand) in formal.iter().zip(actual) {
            let Operand::Name(name, 0) = operand else {
                return self.fail("an argument that is no .param variable");
            };
            match self.lookup(name)? {
                binding @ Binding::Symbol { .. } => {
                    names.insert(variable.name.clone(), binding);
                }
                _ => return self.fail("an argument that is no .param variable"),
            }
        }
        Ok(())
    }

    fn barrier(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        m.take("cta");
        if m.take("warp") {
            if !m.take("sync") {
                return self.fail("expected bar.warp.sync");
            }
            let [members] = self.operands(o)?;
            let members = self.read(members, WORD)?;
            self.push(Op::SyncWarp { members });
            return Ok(());
        }
        let reduces = match m.choose(&[("sync", false), ("red", true)]) {
            Some(reduces) => reduces,
            None => return self.fail("only .sync and .red barriers are known"),
        };
        if base == "barrier" && !m.take("aligned") {
            return self.fail("only aligned barriers are known");
        }
        if !reduces {
            let [id] = self.operands(o)?;
            self.barrier_id(id)?;
            let f = BarrierReduction::None;
            self.push(Op::Barrier {
                f,
                d: NONE,
                p: NONE,
                negated: false,
            });
            return Ok(());
        }
        let Some(f) = m.choose(&[
            ("popc", BarrierReduction::Count),
            ("and", BarrierReduction::And),
            ("or", BarrierReduction::Or),
        ]) else {
            return self.fail("a reduction that is not known");
        };
        let [d, id, p] = self.operands(o)?;
        self.barrier_id(id)?;
        let d = match (f, m.kind()) {
            (BarrierReduction::Count, Some(Type::Unsigned(4))) => self.write(d, WORD)?,
            (BarrierReduction::And | BarrierReduction::Or, Some(Type::Predicate)) => {
                self.plain(d)?
            }
            _ => return self.fail("the reduction does not fit the type"),
        };
        let (p, negated) = self.condition(p)?;
        self.push(Op::Barrier { f, d, p, negated });
        Ok(())
    }

    /// Barriers differ by their places in the code, whatever their numbers.
    fn barrier_id(&self, operand: &Operand) -> Result<()> {
        match operand {
            Operand::Integer(0..16) => Ok(()),
            _ => self.fail("a barrier needs a number from 0 to 15"),
        }
    }

    fn shuffle(&mut self, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        if !m.take("sync") {
            return self.fail("only shfl.sync is known");
        }
        let Some(f) = m.choose(&[
            ("up", Shuffle::Up),
            ("down", Shuffle::Down),
            ("bfly", Shuffle::Butterfly),
            ("idx", Shuffle::Index),
        ]) else {
            return self.fail("a shuffle that is not known");
        };
        if m.kind() != Some(WORD) {
            return self.fail("a shuffle has the type .b32");
        }
        let [d, a, b, c, members] = self.operands(o)?;
        let (d, p): (_, Slot) = match d {
            Operand::Two(d, p) => (self.write(d, WORD)?, self.plain(p)?),
            single => (self.write(single, WORD)?, NONE),
        };
        let (a, b, c) = (
            self.read(a, WORD)?,
            self.read(b, WORD)?,
            self.read(c, WORD)?,
        );
        let members = self.read(members, WORD)?;
        self.push(Op::Shuffle {
            f,
            d,
            p,
            a,
            b,
            c,
            members,
        });
        Ok(())
    }

    fn vote(&mut self, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        if !m.take("sync") {
            return self.fail("only vote.sync is known");
        }
        let Some(f) = m.choose(&[
            ("all", Vote::All),
            ("any", Vote::Any),
            ("uni", Vote::Unanimous),
            ("ballot", Vote::Ballot),
        ]) else {
            return self.fail("a vote that is not known");
        };
        let [d, p, members] = self.operands(o)?;
        let d = match (f, m.kind()) {
            (Vote::Ballot, Some(WORD)) => self.write(d, WORD)?,
            (Vote::All | Vote::Any | Vote::Unanimous, Some(Type::Predicate)) => self.plain(d)?,
            _ => return self.fail("the vote does not fit the type"),
        };
        let (p, negated) = self.condition(p)?;
        let members = self.read(members, WORD)?;
        self.push(Op::Vote {
            f,
            d,
            p,
            negated,
            members,
        });
        Ok(())
    }
}
