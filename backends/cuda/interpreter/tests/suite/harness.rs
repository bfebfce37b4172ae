//! Small kernels, run and read back.

use detfree_ptx_interpreter::{Fault, FaultKind, Geometry, LaunchError, Machine, Options};

pub(crate) const HEADER: &str = ".version 7.0\n.target sm_70\n.address_size 64\n";

/// A module with one kernel `k` of these parameters.
pub(crate) fn module(parameters: &str, body: &str) -> String {
    format!("{HEADER}.visible .entry k({parameters})\n{{\n{body}\n}}\n")
}

pub(crate) fn machine() -> Machine {
    Machine::new(Options {
        memory: 1 << 24,
        budget: 100_000,
        ..Options::default()
    })
}

fn class(kind: &str) -> u32 {
    kind[1..].parse().unwrap()
}

/// Declares `%name` of the type and fills it from the 64-bit register `%from`.
fn unpacked(name: &str, kind: &str, from: &str) -> String {
    match class(kind) {
        64 => format!(".reg .{kind} %{name};\nmov.b64 %{name}, %{from};"),
        32 => format!(
            ".reg .b32 %{name}l, %{name}h;\nmov.b64 {{%{name}l, %{name}h}}, %{from};\n\
             .reg .{kind} %{name};\nmov.b32 %{name}, %{name}l;"
        ),
        _ => format!(".reg .{kind} %{name};\ncvt.u16.u64 %{name}, %{from};"),
    }
}

/// The results of `instruction` for each row of operands. The operands are `%a`, `%b`, `%c`, `%e`
/// of the types `kinds`, the result is `%d` of the type `result`. All travel as bits.
pub(crate) fn evaluate<const N: usize>(
    kinds: [&str; N],
    result: &str,
    instruction: &str,
    rows: &[[u64; N]],
) -> Vec<u64> {
    evaluate_on(&mut machine(), kinds, result, instruction, rows)
}

pub(crate) fn evaluate_on<const N: usize>(
    machine: &mut Machine,
    kinds: [&str; N],
    result: &str,
    instruction: &str,
    rows: &[[u64; N]],
) -> Vec<u64> {
    let mut body = String::from(
        ".reg .b32 %i, %t, %w;\n.reg .b64 %in, %out, %x, %o;\n.reg .pred %past, %p, %q;\n\
         mov.u32 %i, %ctaid.x;\nmov.u32 %t, %tid.x;\nmov.u32 %w, %ntid.x;\n\
         mad.lo.u32 %i, %i, %w, %t;\nld.param.u32 %w, [n];\nsetp.ge.u32 %past, %i, %w;\n\
         @%past ret;\nld.param.u64 %in, [in];\nld.param.u64 %out, [out];\n",
    );
    body += &format!("mul.wide.u32 %o, %i, {};\nadd.u64 %in, %in, %o;\n", 8 * N);
    for (index, (kind, name)) in kinds.iter().zip(["a", "b", "c", "e"]).enumerate() {
        body += &format!(
            "ld.global.u64 %x, [%in+{}];\n{}\n",
            8 * index,
            unpacked(name, kind, "x")
        );
    }
    body += &format!(".reg .{result} %d;\n{instruction}\n");
    body += &match class(result) {
        64 => "mov.b64 %x, %d;\n".to_owned(),
        32 => ".reg .b32 %dl;\nmov.b32 %dl, %d;\nmov.b64 %x, {%dl, 0};\n".to_owned(),
        _ => "cvt.u64.u16 %x, %d;\n".to_owned(),
    };
    body += "mul.wide.u32 %o, %i, 8;\nadd.u64 %out, %out, %o;\nst.global.u64 [%out], %x;\nret;";
    let text = module(".param .u64 in, .param .u64 out, .param .u32 n", &body);
    let loaded = machine
        .load(&text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let bytes: Vec<u8> = rows
        .iter()
        .flatten()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let input = machine.allocate(bytes.len()).unwrap();
    machine.write(input, &bytes).unwrap();
    let output = machine.allocate(8 * rows.len()).unwrap();
    let count = rows.len() as u32;
    let arguments: [&[u8]; 3] = [
        &input.to_le_bytes(),
        &output.to_le_bytes(),
        &count.to_le_bytes(),
    ];
    let geometry = Geometry::line(count.div_ceil(96), 96);
    machine
        .launch(loaded.function("k").unwrap(), geometry, &arguments)
        .unwrap_or_else(|error| panic!("{error}"));
    let found = words(machine.read(output, 8 * rows.len()).unwrap());
    machine.free(input).unwrap();
    machine.free(output).unwrap();
    found
}

pub(crate) fn words(bytes: &[u8]) -> Vec<u64> {
    bytes
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

pub(crate) fn halves(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

/// Checks an instruction against the host, row by row.
pub(crate) fn agree<const N: usize>(
    kinds: [&str; N],
    result: &str,
    instruction: &str,
    rows: &[[u64; N]],
    host: impl Fn([u64; N]) -> u64,
) {
    let found = evaluate(kinds, result, instruction, rows);
    for (row, found) in rows.iter().zip(found) {
        let wanted = host(*row);
        assert_eq!(
            found, wanted,
            "{instruction}\noperands {row:x?}: found {found:#x}, expected {wanted:#x}"
        );
    }
}

/// All pairs.
pub(crate) fn pairs(values: &[u64]) -> Vec<[u64; 2]> {
    values
        .iter()
        .flat_map(|&a| values.iter().map(move |&b| [a, b]))
        .collect()
}

/// All triples.
pub(crate) fn triples(values: &[u64]) -> Vec<[u64; 3]> {
    pairs(values)
        .into_iter()
        .flat_map(|[a, b]| values.iter().map(move |&c| [a, b, c]))
        .collect()
}

/// Numbers that look random, the same in each run.
pub(crate) fn noise(count: usize) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count).map(next).collect()
}

/// Runs kernel `k` of `text` over an output of `words` 32-bit words (its first parameter), and
/// gives what it holds afterwards.
pub(crate) fn run(text: &str, geometry: Geometry, words: usize) -> Result<Vec<u32>, Fault> {
    let mut machine = machine();
    let loaded = machine
        .load(text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let output = machine.allocate(4 * words).unwrap();
    machine.fill(output, 0, 4 * words).unwrap();
    let arguments: [&[u8]; 1] = [&output.to_le_bytes()];
    match machine.launch(loaded.function("k").unwrap(), geometry, &arguments) {
        Ok(()) => Ok(halves(machine.read(output, 4 * words).unwrap())),
        Err(LaunchError::Fault(fault)) => Err(*fault),
        Err(refused) => panic!("{refused}"),
    }
}

/// The broken kernel fails in that way, at the line that holds `line`; the repaired one passes.
pub(crate) fn found(kind: FaultKind, line: &str, broken: &str, repaired: &str, geometry: Geometry) {
    let wrap = |body: &str| {
        let start = ".reg .b64 %out, %at;\n.reg .b32 %t, %b, %n, %r, %s;\n.reg .pred %p, %q;\n\
                     ld.param.u64 %out, [out];\nmov.u32 %t, %tid.x;\nmov.u32 %b, %ctaid.x;\n\
                     mov.u32 %n, %ntid.x;\n";
        module(".param .u64 out", &format!("{start}{body}\nret;"))
    };
    let fault = run(&wrap(broken), geometry, 256).expect_err("the broken kernel passes");
    assert_eq!(fault.kind, kind, "{fault}");
    assert!(fault.text.contains(line), "{fault}");
    assert_eq!(fault.kernel, "k");
    if let Err(fault) = run(&wrap(repaired), geometry, 256) {
        panic!("the repaired kernel fails: {fault}");
    }
}
