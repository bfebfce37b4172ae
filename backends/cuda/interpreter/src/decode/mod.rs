//! From the tree of a module to kernels that can run. Whatever is not known is refused here.

mod compare;
mod control;
mod convert;
mod float;
mod integer;
mod memory;
mod modifiers;
mod operands;
mod transfer;

use std::collections::HashMap;
use std::sync::Arc;

use crate::fault::LoadError;
use crate::instruction::{Instruction, NONE, Op, Sense, Slot};
use crate::kernel::{Kernel, Parameter, Special};
use crate::source::{Function, Source, Space, Statement, Type, Variable, Written};
use modifiers::Modifiers;

/// What a block may have of static shared memory.
pub(crate) const SHARED_LIMIT: usize = 48 << 10;
const LOCAL_LIMIT: u64 = 512 << 10;
const CODE_LIMIT: usize = 1 << 20;

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Binding {
    Register {
        kind: Type,
        slot: Slot,
    },
    /// A variable at `value` of its space.
    Symbol {
        space: Space,
        value: u64,
    },
    /// The dynamic part of shared memory, whose place is known at the end.
    Dynamic,
}

/// A function being expanded.
#[derive(Default)]
struct Frame {
    name: String,
    scopes: Vec<HashMap<String, Binding>>,
    labels: HashMap<String, u32>,
    /// Branches to patch.
    jumps: Vec<(usize, String, u32)>,
    tables: HashMap<String, Vec<String>>,
    /// Entries of the target list to patch.
    entries: Vec<(usize, String, u32)>,
    /// `ret` of a function that is not a kernel.
    returns: Vec<usize>,
}

struct Decoder<'a> {
    source: &'a Source,
    addresses: &'a HashMap<String, u64>,
    kernel: Kernel,
    frames: Vec<Frame>,
    narrow_known: HashMap<u32, Slot>,
    wide_known: HashMap<u64, Slot>,
    special_known: HashMap<Special, Slot>,
    /// Constants that are the place of the dynamic shared memory.
    narrow_dynamic: Option<Slot>,
    wide_dynamic: Option<Slot>,
    shared_known: HashMap<String, u64>,
    /// The guard of the instruction at hand.
    guard: (Slot, Sense),
    line: u32,
}

type Result<T> = std::result::Result<T, LoadError>;

/// All kernels of a module, given the addresses of its global and constant variables.
pub(crate) fn kernels(
    text: &str,
    source: &Source,
    addresses: &HashMap<String, u64>,
) -> Result<Vec<Kernel>> {
    let text: Arc<str> = text.into();
    source
        .functions
        .iter()
        .filter(|function| function.entry)
        .map(|function| Decoder::new(&text, source, addresses, function).kernel(function))
        .collect()
}

impl<'a> Decoder<'a> {
    fn new(
        text: &Arc<str>,
        source: &'a Source,
        addresses: &'a HashMap<String, u64>,
        function: &Function,
    ) -> Self {
        let kernel = Kernel {
            name: function.name.clone(),
            source: text.clone(),
            code: Vec::new(),
            lists: Vec::new(),
            targets: Vec::new(),
            narrow_slots: 0,
            wide_slots: 0,
            predicate_slots: 0,
            narrow_constants: Vec::new(),
            wide_constants: Vec::new(),
            specials: Vec::new(),
            parameters: Vec::new(),
            shared_bytes: 0,
            dynamic_shared: false,
            local_bytes: 0,
            most_threads: function.most_threads,
            required_threads: function.required_threads,
            byte_wise: false,
        };
        Self {
            source,
            addresses,
            kernel,
            frames: Vec::new(),
            narrow_known: HashMap::new(),
            wide_known: HashMap::new(),
            special_known: HashMap::new(),
            narrow_dynamic: None,
            wide_dynamic: None,
            shared_known: HashMap::new(),
            guard: (NONE, Sense::Always),
            line: function.line,
        }
    }

    fn kernel(mut self, function: &Function) -> Result<Kernel> {
        let mut names = HashMap::new();
        let mut offset = 0;
        for parameter in &function.parameters {
            offset = u64::next_multiple_of(offset, parameter.align);
            names.insert(
                parameter.name.clone(),
                Binding::Symbol {
                    space: Space::Parameter,
                    value: offset,
                },
            );
            self.kernel.parameters.push(Parameter {
                name: parameter.name.clone(),
                offset: offset as usize,
                bytes: parameter.bytes as usize,
            });
            offset += parameter.bytes;
        }
        if offset > 4096 {
            return self.fail("more than 4096 bytes of parameters");
        }
        self.expand(function, names)?;
        self.push(Op::Exit);
        self.line = function.line;
        let start = self.kernel.shared_bytes.next_multiple_of(16);
        if self.kernel.dynamic_shared {
            self.kernel.shared_bytes = start;
        }
        if self.kernel.shared_bytes > SHARED_LIMIT {
            return self.fail(format!(
                "{} bytes of shared memory, but a block has {SHARED_LIMIT}",
                self.kernel.shared_bytes
            ));
        }
        self.kernel
            .narrow_constants
            .extend(self.narrow_dynamic.map(|slot| (slot, start as u32)));
        self.kernel
            .wide_constants
            .extend(self.wide_dynamic.map(|slot| (slot, start as u64)));
        Ok(self.kernel)
    }

    /// The code of `function`, whose parameters have these meanings.
    fn expand(&mut self, function: &Function, names: HashMap<String, Binding>) -> Result<()> {
        let source = self.source;
        let defined = source
            .functions
            .iter()
            .find(|other| other.name == function.name && other.body.is_some());
        let Some(body) = defined.and_then(|defined| defined.body.as_ref()) else {
            return self.fail(format!("`{}` is called but nowhere defined", function.name));
        };
        if self.frames.iter().any(|frame| frame.name == function.name) {
            return self.fail(format!("`{}` calls itself", function.name));
        }
        self.frames.push(Frame {
            name: function.name.clone(),
            scopes: vec![names, HashMap::new()],
            ..Frame::default()
        });
        for statement in body {
            self.statement(statement)?;
        }
        self.finish_frame()
    }

    fn finish_frame(&mut self) -> Result<()> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let end = self.kernel.code.len() as u32;
        for (at, label, line) in frame.jumps {
            let Some(&target) = frame.labels.get(&label) else {
                self.line = line;
                return self.fail(format!("no label `{label}`"));
            };
            self.kernel.code[at].op = Op::Branch { target };
        }
        for (at, label, line) in frame.entries {
            let Some(&target) = frame.labels.get(&label) else {
                self.line = line;
                return self.fail(format!("no label `{label}`"));
            };
            self.kernel.targets[at] = target;
        }
        for at in frame.returns {
            self.kernel.code[at].op = Op::Branch { target: end };
        }
        Ok(())
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(LoadError::at(self.line, message.into()))
    }

    fn push(&mut self, op: Op) {
        let (guard, sense) = self.guard;
        self.kernel.code.push(Instruction {
            op,
            line: self.line,
            guard,
            sense,
        });
    }

    fn bind(&mut self, name: &str, binding: Binding) -> Result<()> {
        let scope = self
            .frames
            .last_mut()
            .and_then(|frame| frame.scopes.last_mut());
        match scope.map(|scope| scope.insert(name.to_owned(), binding)) {
            Some(None) => Ok(()),
            _ => self.fail(format!("`{name}` is declared twice")),
        }
    }

    fn statement(&mut self, statement: &Statement) -> Result<()> {
        self.guard = (NONE, Sense::Always);
        let depth = self.frames.len();
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        match statement {
            Statement::Open => frame.scopes.push(HashMap::new()),
            Statement::Close => {
                frame.scopes.pop();
            }
            Statement::Label { name, line } => {
                let here = self.kernel.code.len() as u32;
                if frame.labels.insert(name.clone(), here).is_some() {
                    self.line = *line;
                    return self.fail(format!("the label `{name}` stands twice"));
                }
            }
            Statement::Targets { name, labels } => {
                frame.tables.insert(name.clone(), labels.clone());
            }
            Statement::Registers { kind, names, line } => {
                self.line = *line;
                for (name, count) in names {
                    match count {
                        None => self.declare(name, *kind)?,
                        Some(count) => {
                            for index in 0..*count {
                                self.declare(&format!("{name}{index}"), *kind)?;
                            }
                        }
                    }
                }
            }
            Statement::Variable(variable) => {
                let again = depth > 1 || frame.scopes.len() > 2;
                self.line = variable.line;
                self.variable(variable, again)?;
            }
            Statement::Instruction(written) => {
                self.line = written.line;
                self.instruction(written)?;
            }
        }
        if self.kernel.code.len() > CODE_LIMIT {
            return self.fail("more code than this interpreter holds, calls expanded");
        }
        Ok(())
    }

    fn declare(&mut self, name: &str, kind: Type) -> Result<()> {
        let slot = self.new_slot(kind)?;
        self.bind(name, Binding::Register { kind, slot })
    }

    fn new_slot(&mut self, kind: Type) -> Result<Slot> {
        let count = match kind {
            Type::Predicate => &mut self.kernel.predicate_slots,
            other if other.bytes() == 8 => &mut self.kernel.wide_slots,
            _ => &mut self.kernel.narrow_slots,
        };
        let slot = *count as Slot;
        *count += 1;
        if *count >= usize::from(NONE) {
            return self.fail("more registers than this interpreter holds");
        }
        Ok(slot)
    }

    /// `again`: the declaration can be reached more than once, and each time it holds nothing.
    fn variable(&mut self, variable: &Variable, again: bool) -> Result<()> {
        let binding = if variable.space == Space::Shared {
            let function = self.frames.last().map_or("", |frame| &frame.name);
            let key = format!("{function} {}", variable.name);
            self.shared(&key, variable)
        } else {
            let offset = (self.kernel.local_bytes as u64).next_multiple_of(variable.align);
            if offset + variable.bytes > LOCAL_LIMIT {
                return self.fail(format!("more than {LOCAL_LIMIT} bytes of local memory"));
            }
            self.kernel.local_bytes = (offset + variable.bytes) as usize;
            if again {
                let bytes = variable.bytes as u32;
                self.push(Op::Forget {
                    offset: offset as u32,
                    bytes,
                });
            }
            Binding::Symbol {
                space: Space::Local,
                value: offset,
            }
        };
        self.bind(&variable.name, binding)
    }

    fn shared(&mut self, key: &str, variable: &Variable) -> Binding {
        if variable.dynamic {
            self.kernel.dynamic_shared = true;
            return Binding::Dynamic;
        }
        let value = *self.shared_known.entry(key.to_owned()).or_insert_with(|| {
            let offset = (self.kernel.shared_bytes as u64).next_multiple_of(variable.align);
            self.kernel.shared_bytes = (offset + variable.bytes) as usize;
            offset
        });
        Binding::Symbol {
            space: Space::Shared,
            value,
        }
    }

    fn instruction(&mut self, written: &Written) -> Result<()> {
        if let Some(guard) = &written.guard {
            let slot = self.predicate(&guard.register)?;
            self.guard = (
                slot,
                if guard.negated {
                    Sense::Unless
                } else {
                    Sense::If
                },
            );
        }
        let mut modifiers = Modifiers::of(&written.opcode);
        let base = modifiers.base().to_owned();
        let (m, o) = (&mut modifiers, &written.operands[..]);
        let known = self.integer(&base, m, o)?
            || self.float(&base, m, o)?
            || self.compare(&base, m, o)?
            || self.convert(&base, m, o)?
            || self.transfer(&base, m, o)?
            || self.memory(&base, m, o)?
            || self.control(&base, m, o)?;
        if !known {
            return self.fail(format!("the instruction `{}` is not known", written.opcode));
        }
        if let Some(rest) = modifiers.rest() {
            return self.fail(format!("`.{rest}` is not known of `{base}`"));
        }
        Ok(())
    }
}
