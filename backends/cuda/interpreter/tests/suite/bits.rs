//! Bitwise instructions against host arithmetic.

use crate::harness::{agree, evaluate, pairs, triples};
use crate::integers::{EDGES_32, two_16, two_32, two_64, values_32, values_64};

#[test]
fn bits() {
    two_32("and.b32 %d, %a, %b;", |a, b| a & b);
    two_64("or.b64 %d, %a, %b;", |a, b| a | b);
    two_64("xor.b64 %d, %a, %b;", |a, b| a ^ b);
    two_16("xor.b16 %d, %a, %b;", |a, b| a ^ b);
    let one = |instruction: &str, host: fn(u32) -> u32| {
        let rows: Vec<_> = values_32().into_iter().map(|x| [x]).collect();
        agree(["b32"], "b32", instruction, &rows, |[a]| {
            u64::from(host(a as u32))
        });
    };
    one("not.b32 %d, %a;", |a| !a);
    one("cnot.b32 %d, %a;", |a| u32::from(a == 0));
    one("neg.s32 %d, %a;", u32::wrapping_neg);
    one("abs.s32 %d, %a;", |a| {
        a.cast_signed().wrapping_abs().cast_unsigned()
    });
    one("brev.b32 %d, %a;", u32::reverse_bits);
    one("popc.b32 %d, %a;", u32::count_ones);
    one("clz.b32 %d, %a;", u32::leading_zeros);
    one("bfind.u32 %d, %a;", |a| {
        if a == 0 { u32::MAX } else { a.ilog2() }
    });
    one("bfind.shiftamt.u32 %d, %a;", |a| {
        if a == 0 { u32::MAX } else { 31 - a.ilog2() }
    });
    one("bfind.s32 %d, %a;", |a| {
        let a = if a.cast_signed() < 0 { !a } else { a };
        if a == 0 { u32::MAX } else { a.ilog2() }
    });
    let rows: Vec<_> = values_64().into_iter().map(|x| [x]).collect();
    agree(["b64"], "b32", "popc.b64 %d, %a;", &rows, |[a]| {
        u64::from(a.count_ones())
    });
    agree(["b64"], "b32", "clz.b64 %d, %a;", &rows, |[a]| {
        u64::from(a.leading_zeros())
    });
    agree(["b64"], "b64", "brev.b64 %d, %a;", &rows, |[a]| {
        a.reverse_bits()
    });
}

#[test]
fn shifts_beyond_the_width() {
    let counts = [0, 1, 15, 16, 31, 32, 33, 63, 64, 65, 255, 0xffff_ffff];
    let rows_32: Vec<_> = values_32()
        .into_iter()
        .flat_map(|a| counts.map(move |count| [a, count]))
        .collect();
    agree(
        ["b32"; 2],
        "b32",
        "shl.b32 %d, %a, %b;",
        &rows_32,
        |[a, n]| u64::from((a as u32).checked_shl(n as u32).unwrap_or(0)),
    );
    agree(
        ["b32"; 2],
        "b32",
        "shr.u32 %d, %a, %b;",
        &rows_32,
        |[a, n]| u64::from((a as u32).checked_shr(n as u32).unwrap_or(0)),
    );
    agree(
        ["b32"; 2],
        "b32",
        "shr.s32 %d, %a, %b;",
        &rows_32,
        |[a, n]| {
            let wide = i64::from(a as u32 as i32) >> n.min(40);
            u64::from(wide as u32)
        },
    );
    let rows_64: Vec<_> = values_64()
        .into_iter()
        .flat_map(|a| counts.map(move |count| [a, count]))
        .collect();
    agree(
        ["b64", "b32"],
        "b64",
        "shl.b64 %d, %a, %b;",
        &rows_64,
        |[a, n]| a.checked_shl(n as u32).unwrap_or(0),
    );
    agree(
        ["b64", "b32"],
        "b64",
        "shr.s64 %d, %a, %b;",
        &rows_64,
        |[a, n]| (i128::from(a.cast_signed()) >> n.min(100)) as u64,
    );
    agree(
        ["b16", "b32"],
        "b16",
        "shr.s16 %d, %a, %b;",
        &[[0x8000, 3], [0x8000, 99], [0x7fff, 20]],
        |[a, n]| u64::from((i64::from(a as i16) >> n.min(40)) as u16),
    );
    let rows: Vec<_> = rows_32
        .iter()
        .map(|&[a, n]| [a, a ^ 0x1234_5678, n])
        .collect();
    let pair = |low: u64, high: u64| high << 32 | low;
    agree(
        ["b32"; 3],
        "b32",
        "shf.l.wrap.b32 %d, %a, %b, %c;",
        &rows,
        |[low, high, n]| (u128::from(pair(low, high)) << (n % 32) >> 32) as u32 as u64,
    );
    agree(
        ["b32"; 3],
        "b32",
        "shf.r.clamp.b32 %d, %a, %b, %c;",
        &rows,
        |[low, high, n]| u64::from((pair(low, high) >> n.min(32)) as u32),
    );
}

#[test]
fn bit_fields() {
    let fields = [
        [0, 0],
        [0, 32],
        [4, 8],
        [28, 8],
        [31, 1],
        [0, 1],
        [40, 8],
        [8, 200],
        [255, 255],
    ];
    let rows: Vec<_> = values_32()
        .into_iter()
        .flat_map(|a| fields.map(move |[start, length]| [a, start, length]))
        .collect();
    agree(
        ["b32"; 3],
        "b32",
        "bfe.u32 %d, %a, %b, %c;",
        &rows,
        |[a, start, length]| {
            let shifted = if start > 31 { 0 } else { a >> start };
            if length > 31 {
                shifted
            } else {
                shifted & ((1 << length) - 1)
            }
        },
    );
    agree(
        ["b32"; 3],
        "b32",
        "bfe.s32 %d, %a, %b, %c;",
        &rows,
        |[a, start, length]| {
            // The field of a number whose sign goes on for ever.
            if length == 0 {
                return 0;
            }
            let wide = i128::from(a as u32 as i32) >> start.min(100);
            let unused = 128 - length.min(100) as u32;
            u64::from((wide << unused >> unused) as u32)
        },
    );
    let rows: Vec<_> = rows
        .iter()
        .map(|&[a, start, length]| [a, !a & 0xffff_ffff, start, length])
        .collect();
    agree(
        ["b32"; 4],
        "b32",
        "bfi.b32 %d, %a, %b, %c, %e;",
        &rows,
        |[a, into, start, length]| {
            let mask = ((1_u128 << length.min(100)) - 1) << start.min(100);
            let value = (u128::from(a) << start.min(100)) & mask;
            (u128::from(into) & !mask | value) as u32 as u64
        },
    );
    agree(
        ["b64", "b64"],
        "b64",
        "bfi.b64 %d, %a, %b, 32, 16;",
        &pairs(&values_64()),
        |[a, into]| into & !(0xffff << 32) | (a & 0xffff) << 32,
    );
}

#[test]
fn permutations_and_tables() {
    let found = evaluate(
        ["b32"; 3],
        "b32",
        "prmt.b32 %d, %a, %b, %c;",
        &[
            [0x4433_2211, 0x8877_6655, 0x3210],
            [0x4433_2211, 0x8877_6655, 0x7654],
            [0x4433_2211, 0x8877_6655, 0x0246],
            [0x4433_2211, 0x8877_6655, 0xf8fb],
        ],
    );
    assert_eq!(found, [0x4433_2211, 0x8877_6655, 0x1133_5577, 0xff00_ff00]);
    let f = |[a, b, c]: [u64; 3]| (a & b) | (!a & c & 0xffff_ffff);
    agree(
        ["b32"; 3],
        "b32",
        "lop3.b32 %d, %a, %b, %c, 0xca;",
        &triples(&EDGES_32),
        f,
    );
}
