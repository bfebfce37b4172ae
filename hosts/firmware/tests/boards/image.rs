//! What a linked image holds.

use std::fs;
use std::path::Path;

use object::elf::SHF_ALLOC;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};

/// Parts of mangled names that no image may have.
const FORBIDDEN: [&str; 9] = [
    "9panicking",
    "rust_begin_unwind",
    "4core3fmt",
    "5alloc",
    "__rust_alloc",
    "__rdl_",
    "malloc",
    "calloc",
    "realloc",
];

pub(crate) struct Image {
    /// Bytes of code and constants, of vectors and of initial values.
    pub(crate) flash: u64,
    /// Bytes of variables.
    pub(crate) ram: u64,
    symbols: Vec<String>,
}

impl Image {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let (mut flash, mut ram) = (0, 0);
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                continue;
            };
            if sh_flags & u64::from(SHF_ALLOC) == 0 {
                continue;
            }
            let variables = [".data", ".bss", ".uninit"].contains(&section.name().unwrap());
            let stored = section.kind() != SectionKind::UninitializedData;
            flash += section.size() * u64::from(stored);
            ram += section.size() * u64::from(variables);
        }
        let symbols = file.symbols().map(|symbol| symbol.name().unwrap().into());
        Self {
            flash,
            ram,
            symbols: symbols.collect(),
        }
    }

    pub(crate) fn has_symbol(&self, part: &str) -> bool {
        self.symbols.iter().any(|name| name.contains(part))
    }

    /// The names that must not be there.
    pub(crate) fn offences(&self) -> Vec<&str> {
        let forbidden = |name: &&String| FORBIDDEN.iter().any(|part| name.contains(part));
        let found = self.symbols.iter().filter(forbidden);
        found.map(String::as_str).collect()
    }
}
