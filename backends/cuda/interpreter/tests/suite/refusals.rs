//! What is not known is refused when the module is loaded, with the line.

use crate::harness::{HEADER, machine, module};

fn refused(text: &str, line: &str, words: &str) {
    let error = machine().load(text).expect_err(line);
    assert!(error.message.contains(words), "{error}");
    assert!(error.text.contains(line), "{error}");
    assert_eq!(
        text.lines().nth(error.line as usize - 1).map(str::trim),
        Some(&*error.text)
    );
}

#[test]
fn instructions_modifiers_and_registers() {
    let start = ".reg .b32 %r<3>;\n.reg .b64 %d<3>;\n.reg .f32 %f<3>;\n.reg .pred %p<3>;\n.reg .b16 %s<2>;\n";
    for (instruction, words) in [
        (
            "wmma.load.a.sync.aligned.row.m16n16k16.f16 {%r0}, [%d0];",
            "is not known",
        ),
        ("frobnicate.u32 %r0, %r1;", "`frobnicate.u32` is not known"),
        ("add.frob.u32 %r0, %r1, %r2;", "`.frob` is not known"),
        ("add.u32 %r0, %r1;", "expected 3 operands"),
        ("add.u32 %r0, %r1, %r9;", "`%r9` is not declared"),
        ("add.u64 %d0, %d1, %r0;", "does not fit the type"),
        ("add.f32 %f0, %f1, 3;", "does not fit the type"),
        ("mov.u32 %r0, %clock;", "`%clock` is not declared"),
        (
            "mov.u64 %d0, %globaltimer;",
            "`%globaltimer` is not declared",
        ),
        ("mov.u32 %r0, %smid;", "`%smid` is not declared"),
        ("fma.f32 %f0, %f1, %f2, %f0;", "a rounding is needed"),
        ("add.ftz.f64 %d0, %d1, %d2;", ".f64 has neither"),
        ("ex2.f32 %f0, %f1;", "`.approx` is needed"),
        ("cvt.u32.f32 %r0, %f0;", "rounding"),
        ("cvt.rn.s64.s32 %d0, %r0;", "rounding"),
        ("cvt.rn.f16.f32 %s0, %f0;", "cvt needs two types"),
        ("setp.lt.b32 %p0, %r0, %r1;", "does not fit the type"),
        (
            "ld.acquire.gpu.global.u32 %r0, [%d0];",
            "`.acquire` is not known",
        ),
        ("ld.global.v8.u32 {%r0}, [%d0];", "`.v8` is not known"),
        ("st.const.u32 [%d0], %r0;", "constant memory"),
        (
            "atom.global.max.f32 %f0, [%d0], %f1;",
            "does not fit its type",
        ),
        ("bar.sync 0, 64;", "expected 1 operands"),
        ("bar.arrive 0, 64;", "only .sync and .red"),
        ("shfl.down.b32 %r0, %r1, 1, 31;", "only shfl.sync"),
        ("vote.all.pred %p0, %p1;", "only vote.sync"),
        ("bra NOWHERE;", "no label `NOWHERE`"),
        ("call.uni missing, ();", "no function of this module"),
        ("call %d0, (), proto;", "a call by a register"),
        ("tex.2d.v4.f32.f32 {%f0}, [%d0];", "is not known"),
        ("@%r0 mov.u32 %r0, 1;", "is no predicate"),
        ("mul24.hi.u32 %r0, %r1, %r2;", "expected .lo"),
    ] {
        refused(
            &module("", &format!("{start}{instruction}\nret;")),
            instruction,
            words,
        );
    }
}

#[test]
fn directives_and_targets() {
    let kernel = ".visible .entry k()\n{\nret;\n}\n";
    refused(".target sm_70\n", ".target sm_70", "no .version");
    refused(
        &format!("{HEADER}{kernel}").replace("7.0", "9.9"),
        ".version 9.9",
        "newer",
    );
    refused(
        &format!("{HEADER}{kernel}").replace("sm_70", "sm_90"),
        ".target sm_90",
        "sm_75",
    );
    refused(
        &format!("{HEADER}{kernel}").replace("64", "32"),
        ".address_size 32",
        "64",
    );
    refused(
        &format!("{HEADER}.tex .u32 t;\n{kernel}"),
        ".tex",
        "is not known",
    );
    let body = |text: &str| module("", &format!("{text}\nret;"));
    refused(
        &body(".reg .f16 %h;"),
        ".reg .f16 %h;",
        "no type of a register",
    );
    refused(
        &body(".reg .b32 %r;\n.reg .u32 %r;"),
        ".reg .u32 %r;",
        "declared twice",
    );
    refused(&body("A:\nA:"), "A:", "stands twice");
    refused(&body(".callprototype ;"), ".callprototype", "is not known");
    refused(
        &body(".shared .b8 s[50000];"),
        ".visible .entry k()",
        "shared memory",
    );
    let recursive = format!("{HEADER}.func f()\n{{\ncall f;\nret;\n}}\n{kernel}");
    refused(
        &recursive.replace("{\nret;\n}\n", "{\ncall f;\nret;\n}\n"),
        "call f;",
        "calls itself",
    );
    let undefined = format!("{HEADER}.func f();\n{kernel}").replace("ret;", "call f;\nret;");
    refused(&undefined, "call f;", "nowhere defined");
    let foreign = format!("{HEADER}.extern .global .u32 x;\n{kernel}");
    refused(&foreign, ".extern", "another module");
}

#[test]
fn debug_information_and_hints_are_passed_over() {
    let text = format!(
        "{HEADER}.file 1 \"k.cu\"\n{}.section .debug_info {{ .b8 1 }}\n",
        ".visible .entry k(.param .u64 .ptr .global .align 4 p)\n.minnctapersm 2\n{\n.pragma \"nounroll\";\n\
         .loc 1 2 3\n/* two\nlines */ ret;\n}\n"
    );
    machine().load(&text).unwrap();
}
