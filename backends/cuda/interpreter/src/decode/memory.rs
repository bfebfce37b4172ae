//! Loads, stores and atomics.

use super::modifiers::Modifiers;
use super::{Decoder, Result};
use crate::instruction::{Access, Atomic, NONE, Op, Slot};
use crate::source::{Operand, Space, Type};

impl Decoder<'_> {
    /// False where the instruction belongs to another family.
    pub(super) fn memory(&mut self, base: &str, m: &mut Modifiers, o: &[Operand]) -> Result<bool> {
        match base {
            "ld" | "ldu" => {
                let [values, address] = self.operands(o)?;
                let access = self.access(m, values, address)?;
                self.push(Op::Load(access));
            }
            "st" => {
                let [address, values] = self.operands(o)?;
                let access = self.access(m, values, address)?;
                if access.space == Space::Constant {
                    return self.fail("a store to constant memory");
                }
                self.push(Op::Store(access));
            }
            "atom" | "red" => self.atomic(base == "atom", m, o)?,
            // Hints, and orders that one thread at a time keeps by itself.
            "membar" | "fence" => {
                m.choose(&[("sc", ()), ("acq_rel", ())]);
                m.choose(&[("cta", ()), ("gl", ()), ("gpu", ()), ("sys", ())]);
            }
            "prefetch" | "prefetchu" => {
                m.choose(&[("global", ()), ("local", ())]);
                m.choose(&[("L1", ()), ("L2", ())]);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn space(&mut self, m: &mut Modifiers) -> Space {
        m.choose(&[
            ("global", Space::Global),
            ("const", Space::Constant),
            ("shared", Space::Shared),
            ("shared::cta", Space::Shared),
            ("local", Space::Local),
            ("param", Space::Parameter),
        ])
        .unwrap_or(Space::Generic)
    }

    fn access(&mut self, m: &mut Modifiers, values: &Operand, address: &Operand) -> Result<Access> {
        // What concerns caches changes no value.
        m.take("volatile");
        m.take("weak");
        m.take("nc");
        m.choose(&[
            ("ca", ()),
            ("cg", ()),
            ("cs", ()),
            ("lu", ()),
            ("cv", ()),
            ("wb", ()),
            ("wt", ()),
        ]);
        m.choose(&[
            ("L1::evict_last", ()),
            ("L1::evict_first", ()),
            ("L1::no_allocate", ()),
        ]);
        m.choose(&[("L2::64B", ()), ("L2::128B", ()), ("L2::256B", ())]);
        let named = self.space(m);
        let count = m.choose(&[("v2", 2), ("v4", 4)]).unwrap_or(1);
        let Some(kind) = m.kind().filter(|&kind| kind != Type::Predicate) else {
            return self.fail("an access of what type?");
        };
        if count * kind.bytes() > 16 {
            return self.fail("an access of more than 16 bytes");
        }
        let (address, symbol) = self.address(address)?;
        let space = match (named, symbol) {
            // The parameters of a function that is called lie in the memory of the thread.
            (Space::Parameter, Some(space @ (Space::Parameter | Space::Local))) => space,
            (Space::Generic, Some(space)) => space,
            (named, Some(space)) if named != space => {
                return self.fail("the symbol lies in another space");
            }
            (named, _) => named,
        };
        let items = match values {
            Operand::List(items) => &items[..],
            single => std::slice::from_ref(single),
        };
        if items.len() != usize::from(count) {
            return self.fail(format!("expected {count} registers"));
        }
        let mut slots = Vec::with_capacity(items.len());
        let mut width = None;
        for item in items {
            let (slot, wide) = self.loose(item, kind)?;
            if *width.get_or_insert(wide) != wide {
                return self.fail("registers of different widths");
            }
            slots.push(slot);
        }
        let wide = width.unwrap_or(kind.bytes() == 8);
        self.kernel.byte_wise |=
            kind.bytes() < 4 && !matches!(space, Space::Parameter | Space::Local);
        let list = self.list(&slots);
        Ok(Access {
            space,
            kind,
            count,
            wide,
            list,
            address,
        })
    }

    fn list(&mut self, slots: &[Slot]) -> u32 {
        let start = self.kernel.lists.len() as u32;
        self.kernel.lists.extend_from_slice(slots);
        start
    }

    fn atomic(&mut self, returns: bool, m: &mut Modifiers, o: &[Operand]) -> Result<()> {
        m.choose(&[
            ("relaxed", ()),
            ("acquire", ()),
            ("release", ()),
            ("acq_rel", ()),
        ]);
        m.choose(&[("cta", ()), ("gpu", ()), ("sys", ())]);
        let named = self.space(m);
        let Some(f) = m.choose(&[
            ("add", Atomic::Add),
            ("min", Atomic::Minimum),
            ("max", Atomic::Maximum),
            ("inc", Atomic::Increment),
            ("dec", Atomic::Decrement),
            ("and", Atomic::And),
            ("or", Atomic::Or),
            ("xor", Atomic::ExclusiveOr),
            ("exch", Atomic::Exchange),
            ("cas", Atomic::CompareAndSwap),
        ]) else {
            return self.fail("an atomic operation that is not known");
        };
        let Some(kind) = m.kind().filter(|kind| matches!(kind.bytes(), 4 | 8)) else {
            return self.fail("an atomic of 32 or 64 bits is needed");
        };
        let bitwise = matches!(f, Atomic::And | Atomic::Or | Atomic::ExclusiveOr);
        let arithmetic = matches!(f, Atomic::Minimum | Atomic::Maximum);
        let counting = matches!(f, Atomic::Increment | Atomic::Decrement);
        let bits = matches!(kind, Type::Bits(_));
        if (kind.float() && f != Atomic::Add)
            || (bits && (arithmetic || f == Atomic::Add))
            || (!bits && bitwise)
            || (counting && kind != Type::Unsigned(4))
        {
            return self.fail("this atomic operation does not fit its type");
        }
        let (result, o) = match o {
            [result, rest @ ..] if returns => (self.write(result, kind)?, rest),
            rest => (NONE, rest),
        };
        let [address, operands @ ..] = o else {
            return self.fail("an atomic without an address");
        };
        if operands.len() != if f == Atomic::CompareAndSwap { 2 } else { 1 } {
            return self.fail("a wrong number of operands");
        }
        let (address, symbol) = self.address(address)?;
        let space = if named == Space::Generic {
            symbol.unwrap_or(named)
        } else {
            named
        };
        if !matches!(space, Space::Global | Space::Shared | Space::Generic) {
            return self.fail("atomics need global or shared memory");
        }
        let mut slots = Vec::new();
        for operand in operands {
            slots.push(self.read(operand, kind)?);
        }
        let list = self.list(&slots);
        let wide = kind.bytes() == 8;
        let access = Access {
            space,
            kind,
            count: slots.len() as u8,
            wide,
            list,
            address,
        };
        self.push(Op::Atomic {
            f,
            d: result,
            access,
        });
        Ok(())
    }
}
