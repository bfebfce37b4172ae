//! Integer instructions against host arithmetic.

use crate::harness::{agree, noise, pairs, triples};

pub(crate) const EDGES_32: [u64; 9] = [
    0,
    1,
    2,
    31,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_fffe,
    0xffff_ffff,
];
const EDGES_64: [u64; 8] = [
    0,
    1,
    63,
    0x7fff_ffff_ffff_ffff,
    1 << 63,
    (1 << 63) + 1,
    u64::MAX - 1,
    u64::MAX,
];

pub(crate) fn values_32() -> Vec<u64> {
    EDGES_32
        .into_iter()
        .chain(noise(9).iter().map(|x| x >> 32))
        .collect()
}

pub(crate) fn values_64() -> Vec<u64> {
    EDGES_64.into_iter().chain(noise(9)).collect()
}

pub(crate) fn two_32(instruction: &str, host: impl Fn(u32, u32) -> u32) {
    agree(
        ["b32"; 2],
        "b32",
        instruction,
        &pairs(&values_32()),
        |[a, b]| u64::from(host(a as u32, b as u32)),
    );
}

pub(crate) fn two_64(instruction: &str, host: impl Fn(u64, u64) -> u64) {
    agree(
        ["b64"; 2],
        "b64",
        instruction,
        &pairs(&values_64()),
        |[a, b]| host(a, b),
    );
}

pub(crate) fn two_16(instruction: &str, host: impl Fn(u16, u16) -> u16) {
    let values: Vec<u64> = [0, 1, 0x7fff, 0x8000, 0xffff]
        .into_iter()
        .chain(noise(9).iter().map(|x| x >> 48))
        .collect();
    agree(["b16"; 2], "b16", instruction, &pairs(&values), |[a, b]| {
        u64::from(host(a as u16, b as u16))
    });
}

#[test]
fn sums_and_differences() {
    two_32("add.s32 %d, %a, %b;", u32::wrapping_add);
    two_32("sub.u32 %d, %a, %b;", u32::wrapping_sub);
    two_64("add.u64 %d, %a, %b;", u64::wrapping_add);
    two_64("sub.s64 %d, %a, %b;", u64::wrapping_sub);
    two_16("add.s16 %d, %a, %b;", u16::wrapping_add);
    two_16("sub.u16 %d, %a, %b;", u16::wrapping_sub);
    let saturating = |a: u32, b: u32| {
        let sum = i64::from(a.cast_signed()) + i64::from(b.cast_signed());
        (sum.clamp(-(1 << 31), (1 << 31) - 1) as i32).cast_unsigned()
    };
    two_32("add.sat.s32 %d, %a, %b;", saturating);
    two_32("sub.sat.s32 %d, %a, %b;", |a, b| {
        let difference = i64::from(a.cast_signed()) - i64::from(b.cast_signed());
        (difference.clamp(-(1 << 31), (1 << 31) - 1) as i32).cast_unsigned()
    });
}

#[test]
fn products() {
    two_32("mul.lo.s32 %d, %a, %b;", u32::wrapping_mul);
    two_32("mul.hi.u32 %d, %a, %b;", |a, b| {
        ((u64::from(a) * u64::from(b)) >> 32) as u32
    });
    two_32("mul.hi.s32 %d, %a, %b;", |a, b| {
        ((i64::from(a.cast_signed()) * i64::from(b.cast_signed())) >> 32) as u32
    });
    two_64("mul.lo.u64 %d, %a, %b;", u64::wrapping_mul);
    two_64("mul.hi.u64 %d, %a, %b;", |a, b| {
        ((u128::from(a) * u128::from(b)) >> 64) as u64
    });
    two_64("mul.hi.s64 %d, %a, %b;", |a, b| {
        ((i128::from(a.cast_signed()) * i128::from(b.cast_signed())) >> 64) as u64
    });
    two_16("mul.lo.u16 %d, %a, %b;", u16::wrapping_mul);
    let rows = pairs(&values_32());
    agree(
        ["b32"; 2],
        "b64",
        "mul.wide.u32 %d, %a, %b;",
        &rows,
        |[a, b]| a.wrapping_mul(b),
    );
    let signed = |x: u64| i64::from(x as u32 as i32);
    agree(
        ["b32"; 2],
        "b64",
        "mul.wide.s32 %d, %a, %b;",
        &rows,
        |[a, b]| (signed(a) * signed(b)).cast_unsigned(),
    );
    let shorts = |[a, b]: [u64; 2]| u64::from((i32::from(a as i16) * i32::from(b as i16)) as u32);
    agree(
        ["b16"; 2],
        "b32",
        "mul.wide.s16 %d, %a, %b;",
        &pairs(&[0, 3, 0x7fff, 0x8000, 0xffff]),
        shorts,
    );
    two_32("mul24.lo.u32 %d, %a, %b;", |a, b| {
        (a & 0xff_ffff).wrapping_mul(b & 0xff_ffff)
    });
    let rows = triples(&EDGES_32);
    agree(
        ["b32"; 3],
        "b32",
        "mad.lo.s32 %d, %a, %b, %c;",
        &rows,
        |[a, b, c]| u64::from((a as u32).wrapping_mul(b as u32).wrapping_add(c as u32)),
    );
    agree(
        ["b32"; 3],
        "b32",
        "mad.hi.u32 %d, %a, %b, %c;",
        &rows,
        |[a, b, c]| u64::from((((a * b) >> 32) as u32).wrapping_add(c as u32)),
    );
    agree(
        ["b32", "b32", "b64"],
        "b64",
        "mad.wide.u32 %d, %a, %b, %c;",
        &rows,
        |[a, b, c]| (a * b).wrapping_add(c),
    );
}

#[test]
fn quotients_and_extremes() {
    two_32("div.u32 %d, %a, %b;", |a, b| {
        a.checked_div(b).unwrap_or(u32::MAX)
    });
    two_32("rem.u32 %d, %a, %b;", |a, b| a.checked_rem(b).unwrap_or(a));
    two_32("div.s32 %d, %a, %b;", |a, b| match b {
        0 => u32::MAX,
        b => a
            .cast_signed()
            .wrapping_div(b.cast_signed())
            .cast_unsigned(),
    });
    two_64("rem.s64 %d, %a, %b;", |a, b| match b {
        0 => a,
        b => a
            .cast_signed()
            .wrapping_rem(b.cast_signed())
            .cast_unsigned(),
    });
    two_32("min.s32 %d, %a, %b;", |a, b| {
        a.cast_signed().min(b.cast_signed()).cast_unsigned()
    });
    two_32("max.u32 %d, %a, %b;", u32::max);
    two_64("max.s64 %d, %a, %b;", |a, b| {
        a.cast_signed().max(b.cast_signed()).cast_unsigned()
    });
    two_64("min.u64 %d, %a, %b;", u64::min);
    two_16("min.s16 %d, %a, %b;", |a, b| {
        a.cast_signed().min(b.cast_signed()).cast_unsigned()
    });
}

#[test]
fn carries_go_from_word_to_word() {
    let rows: Vec<_> = pairs(&values_64());
    let sum = "{ .reg .b32 %al, %ah, %bl, %bh, %dl, %dh;\n\
               mov.b64 {%al, %ah}, %a;\nmov.b64 {%bl, %bh}, %b;\n\
               OP.cc.u32 %dl, %al, %bl;\nOPc.u32 %dh, %ah, %bh;\nmov.b64 %d, {%dl, %dh}; }";
    agree(
        ["b64"; 2],
        "b64",
        &sum.replace("OP", "add"),
        &rows,
        |[a, b]| a.wrapping_add(b),
    );
    agree(
        ["b64"; 2],
        "b64",
        &sum.replace("OP", "sub"),
        &rows,
        |[a, b]| a.wrapping_sub(b),
    );
    // The high half of a product of 64 bits, from products of 32.
    let product = "{ .reg .b32 %al, %ah, %bl, %bh, %r0, %r1, %r2, %r3;\n\
                   mov.b64 {%al, %ah}, %a;\nmov.b64 {%bl, %bh}, %b;\n\
                   mul.lo.u32 %r0, %al, %bl;\nmul.hi.u32 %r1, %al, %bl;\n\
                   mad.lo.cc.u32 %r1, %al, %bh, %r1;\nmadc.hi.u32 %r2, %al, %bh, 0;\n\
                   mad.lo.cc.u32 %r1, %ah, %bl, %r1;\nmadc.hi.cc.u32 %r2, %ah, %bl, %r2;\n\
                   madc.hi.u32 %r3, %ah, %bh, 0;\n\
                   mad.lo.cc.u32 %r2, %ah, %bh, %r2;\naddc.u32 %r3, %r3, 0;\n\
                   mov.b64 %d, {%r2, %r3}; }";
    agree(["b64"; 2], "b64", product, &rows, |[a, b]| {
        ((u128::from(a) * u128::from(b)) >> 64) as u64
    });
}
