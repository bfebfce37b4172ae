//! Loads and stores in all spaces, calls, atomics; and accesses that must be found.

use detfree_ptx_interpreter::{FaultKind, Geometry, Machine, Options};

use crate::harness::{HEADER, evaluate, found, halves, machine, module, run};

fn line(threads: u32) -> Geometry {
    Geometry::line(1, threads)
}

#[test]
fn vectors_and_narrow_values() {
    let body = ".reg .b64 %out;\n.reg .b32 %r<6>;\n.reg .b16 %s<3>;\n.reg .f32 %f<2>;\n\
                ld.param.u64 %out, [out];\n\
                mov.u32 %r0, 1;\nmov.u32 %r1, 2;\nmov.u32 %r2, 3;\nmov.u32 %r3, 0xfffe8004;\n\
                st.global.v4.u32 [%out], {%r0, %r1, %r2, %r3};\n\
                ld.global.v2.u32 {%r4, %r5}, [%out+8];\n\
                st.global.v2.b32 [%out+16], {%r5, %r4};\n\
                ld.global.s16 %r0, [%out+12];\nst.global.u32 [%out+24], %r0;\n\
                ld.global.u16 %s0, [%out+14];\ncvt.u32.u16 %r0, %s0;\nst.global.u32 [%out+28], %r0;\n\
                ld.global.s8 %r0, [%out+13];\nst.global.u32 [%out+32], %r0;\n\
                st.global.u8 [%out+36], %r3;\nst.global.u16 [%out+38], %s0;\nret;";
    let words = run(&module(".param .u64 out", body), line(1), 10).unwrap();
    let wanted = [
        1,
        2,
        3,
        0xfffe_8004,
        0xfffe_8004,
        3,
        0xffff_8004,
        0xfffe,
        0xffff_ff80,
        0xfffe_0004,
    ];
    assert_eq!(words, wanted);
}

#[test]
fn every_space_holds_what_is_written() {
    let body = ".local .align 4 .b8 mine[16];\n.reg .b64 %out, %l, %s, %g;\n.reg .b32 %t, %r, %u;\n\
                ld.param.u64 %out, [out];\nmov.u32 %t, %tid.x;\n\
                mov.u64 %l, mine;\nst.local.u32 [%l+4], %t;\nld.local.u32 %r, [mine+4];\n\
                cvta.local.u64 %g, %l;\nld.u32 %u, [%g+4];\nadd.u32 %r, %r, %u;\n\
                mov.u64 %s, ours;\nmul.wide.u32 %g, %t, 4;\nadd.u64 %s, %s, %g;\n\
                st.shared.u32 [%s], %t;\ncvta.shared.u64 %l, %s;\nld.u32 %u, [%l];\nadd.u32 %r, %r, %u;\n\
                cvta.to.shared.u64 %s, %l;\nld.shared.u32 %u, [%s];\nadd.u32 %r, %r, %u;\n\
                ld.const.u32 %u, [table+8];\nadd.u32 %r, %r, %u;\n\
                ld.global.u32 %u, [counter];\nadd.u32 %r, %r, %u;\n\
                add.u64 %out, %out, %g;\nst.global.u32 [%out], %r;\nret;";
    let text = module(".param .u64 out", body).replace(
        ".visible",
        ".const .align 4 .b32 table[4] = {10, 20, 30};\n.global .u32 counter = 1000;\n\
         .shared .align 4 .b8 ours[256];\n.visible",
    );
    let words = run(&text, line(40), 40).unwrap();
    assert!(
        words
            .iter()
            .enumerate()
            .all(|(t, &word)| word == 4 * t as u32 + 1030),
        "{words:?}"
    );
}

#[test]
fn calls_pass_values_and_structures() {
    let text = format!(
        "{HEADER}.func (.param .align 8 .b8 result[16]) both(.param .b64 x, .param .b32 n)\n\
         {{\n.reg .f64 %d;\n.reg .b32 %n;\n.reg .pred %p;\n\
         ld.param.f64 %d, [x];\nld.param.u32 %n, [n];\nsetp.gt.u32 %p, %n, 2;\n\
         @%p bra BIG;\nst.param.f64 [result+0], %d;\nst.param.b32 [result+8], %n;\nret;\n\
         BIG:\nadd.f64 %d, %d, %d;\nst.param.f64 [result+0], %d;\nst.param.b32 [result+8], 99;\nret;\n}}\n\
         .visible .entry k(.param .u64 out)\n{{\n.reg .b64 %out, %o;\n.reg .f64 %d;\n.reg .b32 %t, %r;\n\
         ld.param.u64 %out, [out];\nmov.u32 %t, %tid.x;\ncvt.rn.f64.u32 %d, %t;\n\
         {{\n.param .b64 param0;\nst.param.f64 [param0+0], %d;\n.param .b32 param1;\n\
         st.param.b32 [param1+0], %t;\n.param .align 8 .b8 retval0[16];\n\
         call.uni (retval0), both, (param0, param1);\n\
         ld.param.f64 %d, [retval0+0];\nld.param.b32 %r, [retval0+8];\n}}\n\
         mul.wide.u32 %o, %t, 8;\nadd.u64 %out, %out, %o;\ncvt.rni.u32.f64 %t, %d;\n\
         st.global.v2.u32 [%out], {{%t, %r}};\nret;\n}}\n"
    );
    let words = run(&text, line(6), 12).unwrap();
    assert_eq!(words, [0, 0, 1, 1, 2, 2, 6, 99, 8, 99, 10, 99]);
}

#[test]
fn parameters_keep_their_places() {
    let body = ".reg .b64 %out, %d;\n.reg .b32 %a, %b;\n.reg .b16 %s;\n\
                ld.param.u64 %out, [out];\nld.param.u8 %s, [small];\nld.param.u64 %d, [wide];\n\
                ld.param.v2.u32 {%a, %b}, [structure+8];\nst.global.u64 [%out], %d;\n\
                st.global.v2.u32 [%out+8], {%b, %a};\ncvt.u32.u16 %a, %s;\nst.global.u32 [%out+16], %a;\nret;";
    let parameters = ".param .u64 out, .param .u8 small, .param .u64 wide, \
                      .param .align 8 .b8 structure[16]";
    let mut machine = machine();
    let loaded = machine.load(&module(parameters, body)).unwrap();
    let out = machine.allocate(20).unwrap();
    let structure: Vec<u8> = (0..16).collect();
    machine
        .launch(
            loaded.function("k").unwrap(),
            line(1),
            &[&out.to_le_bytes(), &[200], &7_u64.to_le_bytes(), &structure],
        )
        .unwrap();
    let words = halves(machine.read(out, 20).unwrap());
    assert_eq!(words, [7, 0, 0x0f0e_0d0c, 0x0b0a_0908, 200]);
}

#[test]
fn atomics() {
    let cases = [
        ("add.u32", "%t", (0..64).sum::<u32>(), 0),
        ("max.u32", "%t", 63, 0),
        ("min.s32", "%m", (-63_i32).cast_unsigned(), 0),
        ("or.b32", "%t", 63, 0),
        ("xor.b32", "%t", (0..64).fold(0, |a, b| a ^ b), 0),
        ("and.b32", "-2", 0xa, 0xb),
        ("inc.u32", "9", 64 % 10, 0),
        ("dec.u32", "9", 6, 0),
    ];
    for (name, operand, wanted, start) in cases {
        for instruction in [
            format!("atom.global.{name} %r, [%out], {operand};"),
            format!("red.global.{name} [%out], {operand};"),
        ] {
            let body = format!(
                ".reg .b64 %out;\n.reg .b32 %t, %m, %r;\nld.param.u64 %out, [out];\n\
                 mov.u32 %t, %tid.x;\nneg.s32 %m, %t;\n{instruction}\nret;"
            );
            let mut machine = machine();
            let loaded = machine.load(&module(".param .u64 out", &body)).unwrap();
            let out = machine.allocate(4).unwrap();
            machine.write(out, &u32::to_le_bytes(start)).unwrap();
            let arguments: [&[u8]; 1] = [&out.to_le_bytes()];
            machine
                .launch(loaded.function("k").unwrap(), line(64), &arguments)
                .unwrap();
            assert_eq!(
                halves(machine.read(out, 4).unwrap()),
                [wanted],
                "{instruction}"
            );
        }
    }
    // Each lane gets the value before its own turn; exchange and compare-and-swap see it.
    let body = ".reg .b64 %out, %at;\n.reg .b32 %t, %r;\n.reg .f32 %f;\n.reg .f64 %d;\nld.param.u64 %out, [out];\n\
                mov.u32 %t, %tid.x;\natom.global.exch.b32 %r, [%out], %t;\n\
                mul.wide.u32 %at, %t, 4;\nadd.u64 %at, %at, %out;\nst.global.u32 [%at+32], %r;\n\
                atom.global.cas.b32 %r, [%out+4], %t, 77;\natom.global.add.f32 %f, [%out+8], 0f3F000000;\n\
                atom.global.add.f64 %d, [%out+16], 0d3FE0000000000000;\nret;";
    let words = run(&module(".param .u64 out", body), line(4), 12).unwrap();
    assert_eq!(words[..3], [3, 77, 2.0_f32.to_bits()]);
    assert_eq!(f64::from_bits(u64::from(words[5]) << 32), 2.0);
    assert_eq!(words[8..], [0, 0, 1, 2]);
}

#[test]
fn accesses_out_of_bounds() {
    let store = "mul.wide.u32 %at, %t, 4;\nadd.u64 %at, %at, %out;\n";
    found(
        FaultKind::OutOfBounds,
        "st.global.u32 [%at+900]",
        &format!("{store}st.global.u32 [%at+900], %t;"),
        &format!("{store}st.global.u32 [%at+896], %t;"),
        line(32),
    );
    found(
        FaultKind::OutOfBounds,
        "ld.global.u32",
        &format!("{store}ld.global.u32 %r, [%at+-4];"),
        &format!("{store}ld.global.u32 %r, [%at];"),
        line(32),
    );
    let shared = ".shared .align 4 .b8 s[64];\nmov.u64 %at, s;\n";
    found(
        FaultKind::OutOfBounds,
        "st.shared.u32",
        &format!("{shared}st.shared.u32 [%at+64], %t;"),
        &format!("{shared}st.shared.u32 [%at+60], %t;"),
        line(1),
    );
    let local = ".local .align 4 .b8 l[8];\nmov.u64 %at, l;\n";
    found(
        FaultKind::OutOfBounds,
        "st.local.u32",
        &format!("{local}st.local.u32 [%at+8], %t;"),
        &format!("{local}st.local.u32 [%at+4], %t;"),
        line(3),
    );
    found(
        FaultKind::OutOfBounds,
        "null",
        "mov.u64 %at, 0; ld.global.u32 %r, [%at]; // null",
        "",
        line(1),
    );
}

#[test]
fn misaligned_accesses() {
    found(
        FaultKind::Misaligned,
        "v2.u32",
        "st.global.v2.u32 [%out+4], {%t, %t};",
        "st.global.v2.u32 [%out+8], {%t, %t};",
        line(1),
    );
    found(
        FaultKind::Misaligned,
        "ld.shared.u32",
        ".shared .align 4 .b8 s[64];\nmov.u64 %at, s;\nst.shared.v2.u32 [s], {%t, %t};\nld.shared.u32 %r, [%at+2];",
        ".shared .align 4 .b8 s[64];\nmov.u64 %at, s;\nst.shared.v2.u32 [s], {%t, %t};\nld.shared.u32 %r, [%at+4];",
        line(1),
    );
}

#[test]
fn reads_of_what_nothing_has_written() {
    let shared = ".shared .align 4 .b8 s[64];\nst.shared.u32 [s+4], %t;\n";
    found(
        FaultKind::Uninitialised,
        "ld.shared.u32",
        &format!("{shared}ld.shared.u32 %r, [s+8];"),
        &format!("{shared}ld.shared.u32 %r, [s+4];"),
        line(1),
    );
    let local = ".local .align 8 .b8 l[16];\nst.local.u32 [l+8], %t;\n";
    found(
        FaultKind::Uninitialised,
        "ld.local.u64",
        &format!("{local}ld.local.u64 %at, [l+8];"),
        &format!("{local}st.local.u32 [l+12], %t;\nld.local.u64 %at, [l+8];"),
        line(5),
    );
    // A block does not see what an earlier one left in shared memory.
    found(
        FaultKind::Uninitialised,
        "ld.shared.u32",
        ".shared .align 4 .b8 s[4];\nsetp.eq.u32 %p, %b, 0;\n@%p st.shared.u32 [s], 1;\nld.shared.u32 %r, [s];",
        ".shared .align 4 .b8 s[4];\nst.shared.u32 [s], 1;\nld.shared.u32 %r, [s];",
        Geometry::line(2, 1),
    );
    // Global memory: what the host has not filled.
    let body =
        ".reg .b64 %in;\n.reg .b32 %r;\nld.param.u64 %in, [in];\nld.global.u32 %r, [%in+4];\nret;";
    let mut machine = machine();
    let loaded = machine.load(&module(".param .u64 in", body)).unwrap();
    let memory = machine.allocate(8).unwrap();
    machine.fill(memory, 0, 4).unwrap();
    let arguments: [&[u8]; 1] = [&memory.to_le_bytes()];
    let error = machine
        .launch(loaded.function("k").unwrap(), line(1), &arguments)
        .unwrap_err();
    assert!(error.to_string().contains("Uninitialised"), "{error}");
    machine.fill(memory, 0, 8).unwrap();
    machine
        .launch(loaded.function("k").unwrap(), line(1), &arguments)
        .unwrap();
}

#[test]
fn stores_to_constants_and_dead_memory() {
    let text = module(
        ".param .u64 out",
        ".reg .b64 %a;\nmov.u64 %a, table;\ncvta.const.u64 %a, %a;\nst.u32 [%a], 1;\nret;",
    )
    .replace(".visible", ".const .u32 table = 3;\n.visible");
    let fault = run(&text, line(1), 1).unwrap_err();
    assert_eq!(fault.kind, FaultKind::ReadOnly);

    let body =
        ".reg .b64 %in;\n.reg .b32 %r;\nld.param.u64 %in, [in];\nld.global.u32 %r, [%in];\nret;";
    let mut machine = machine();
    let loaded = machine.load(&module(".param .u64 in", body)).unwrap();
    let memory = machine.allocate(8).unwrap();
    machine.fill(memory, 0, 8).unwrap();
    let arguments: [&[u8]; 1] = [&memory.to_le_bytes()];
    machine
        .launch(loaded.function("k").unwrap(), line(1), &arguments)
        .unwrap();
    machine.free(memory).unwrap();
    machine.allocate(8).unwrap();
    let error = machine
        .launch(loaded.function("k").unwrap(), line(1), &arguments)
        .unwrap_err();
    assert!(error.to_string().contains("UseAfterFree"), "{error}");
}

#[test]
fn endless_loops_and_traps() {
    found(
        FaultKind::InstructionBudget,
        "bra",
        "mov.u32 %r, 5;\nL: add.u32 %r, %r, 1;\nsetp.ne.u32 %p, %r, 4;\n@%p bra L;",
        "mov.u32 %r, 5;\nL: add.u32 %r, %r, -1;\nsetp.ne.u32 %p, %r, 4;\n@%p bra L;",
        line(33),
    );
    found(
        FaultKind::Trap,
        "trap",
        "setp.eq.u32 %p, %t, 7;\n@%p trap;",
        "setp.eq.u32 %p, %t, 77;\n@%p trap;",
        line(33),
    );
    let mut machine = Machine::new(Options {
        budget: 10,
        ..Options::default()
    });
    let loaded = machine.load(&module("", "L: bra L;\nret;")).unwrap();
    assert!(
        machine
            .launch(loaded.function("k").unwrap(), line(1), &[])
            .is_err()
    );
}

#[test]
fn the_lanes_of_a_fault_are_named() {
    let body = "setp.eq.u32 %p, %t, 37;\n@%p st.global.u32 [%out+1024], %t;";
    let start = ".reg .b64 %out;\n.reg .b32 %t;\n.reg .pred %p;\nld.param.u64 %out, [out];\nmov.u32 %t, %tid.y;\n";
    let text = module(".param .u64 out", &format!("{start}{body}\nret;"));
    let geometry = Geometry {
        grid: [1, 2, 1],
        block: [2, 40, 1],
        shared_bytes: 0,
    };
    let fault = run(&text, geometry, 256).unwrap_err();
    assert_eq!((fault.block, fault.thread), ([0, 0, 0], [0, 37, 0]));
    assert_eq!(
        text.lines().nth(fault.line as usize - 1),
        Some("@%p st.global.u32 [%out+1024], %t;")
    );
    let said = fault.to_string();
    assert!(
        said.contains("1024 bytes") && said.contains("kernel k"),
        "{said}"
    );
    assert_eq!(fault.address.map(|address| address & 0xfff), Some(1024));
}

#[test]
fn special_registers() {
    let body = ".reg .b64 %out, %o;\n.reg .b32 %r<4>, %i;\nld.param.u64 %out, [out];\n\
                mov.u32 %r0, %tid.y;\nmov.u32 %r1, %ctaid.z;\nmov.u32 %r2, %laneid;\nmov.u32 %r3, %lanemask_lt;\n\
                popc.b32 %r3, %r3;\nmov.u32 %i, %ctaid.x;\nmad.lo.u32 %i, %r1, %nctaid.x, %i;\n\
                mad.lo.u32 %i, %i, %ntid.y, %r0;\nmad.lo.u32 %i, %i, %ntid.x, %tid.x;\n\
                mad.lo.u32 %r1, %r1, 100, %r0;\nsub.u32 %r3, %r2, %r3;\n\
                mul.wide.u32 %o, %i, 8;\nadd.u64 %out, %out, %o;\nst.global.v2.u32 [%out], {%r1, %r3};\nret;";
    let geometry = Geometry {
        grid: [2, 1, 2],
        block: [5, 3, 1],
        shared_bytes: 0,
    };
    let words = run(&module(".param .u64 out", body), geometry, 120).unwrap();
    for z in 0..2 {
        for x in 0..2 {
            for y in 0..3 {
                for t in 0..5 {
                    let at = (((z * 2 + x) * 3 + y) * 5 + t) * 2;
                    assert_eq!(words[at..at + 2], [(z * 100 + y) as u32, 0]);
                }
            }
        }
    }
    assert_eq!(
        evaluate(["b32"], "b32", "mov.u32 %d, %nwarpid;", &[[0]]),
        [3]
    );
}
