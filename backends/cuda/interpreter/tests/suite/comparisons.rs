//! Comparisons, selections, predicates.

use crate::harness::{agree, evaluate, pairs};

const SELECT: &str = "selp.b32 %d, 1, 0, %p;";

fn relation(name: &str, kind: &str, rows: &[[u64; 2]], holds: impl Fn(u64, u64) -> bool) {
    let operand = match kind {
        "f32" | "f64" => kind.to_owned(),
        other => format!("b{}", &other[1..]),
    };
    let instruction = format!("setp.{name}.{kind} %p, %a, %b;\n{SELECT}");
    agree([&operand, &operand], "b32", &instruction, rows, |[a, b]| {
        u64::from(holds(a, b))
    });
}

#[test]
fn integers_compare_by_their_signs() {
    let rows = pairs(&[0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]);
    let signed = |x: u64| x as u32 as i32;
    relation("eq", "b32", &rows, |a, b| a == b);
    relation("ne", "s32", &rows, |a, b| a != b);
    relation("lt", "s32", &rows, |a, b| signed(a) < signed(b));
    relation("le", "s32", &rows, |a, b| signed(a) <= signed(b));
    relation("gt", "s32", &rows, |a, b| signed(a) > signed(b));
    relation("ge", "s32", &rows, |a, b| signed(a) >= signed(b));
    relation("lt", "u32", &rows, |a, b| a < b);
    relation("lo", "u32", &rows, |a, b| a < b);
    relation("ls", "u32", &rows, |a, b| a <= b);
    relation("hi", "u32", &rows, |a, b| a > b);
    relation("hs", "u32", &rows, |a, b| a >= b);
    let rows = pairs(&[0, 1, 0x7fff_ffff_ffff_ffff, 1 << 63, u64::MAX]);
    relation("lt", "s64", &rows, |a, b| a.cast_signed() < b.cast_signed());
    relation("gt", "u64", &rows, |a, b| a > b);
    let rows = pairs(&[0, 1, 0x7fff, 0x8000, 0xffff]);
    relation("lt", "s16", &rows, |a, b| (a as i16) < (b as i16));
    relation("ge", "u16", &rows, |a, b| a >= b);
}

#[test]
fn floats_compare_with_and_without_nan() {
    let values = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NAN, 1e-310];
    let doubles = pairs(&values.map(f64::to_bits));
    let singles = pairs(&values.map(|x| u64::from((x as f32).to_bits())));
    type Relation = (&'static str, fn(f64, f64) -> bool);
    let ordered: [Relation; 5] = [
        ("eq", |a, b| a == b),
        ("lt", |a, b| a < b),
        ("le", |a, b| a <= b),
        ("gt", |a, b| a > b),
        ("ge", |a, b| a >= b),
    ];
    let single = |x: u64| f64::from(f32::from_bits(x as u32));
    let double = f64::from_bits;
    for (name, holds) in ordered {
        relation(name, "f64", &doubles, |a, b| holds(double(a), double(b)));
        relation(name, "f32", &singles, |a, b| holds(single(a), single(b)));
        let either = |a: f64, b: f64| a.is_nan() || b.is_nan() || holds(a, b);
        relation(&format!("{name}u"), "f64", &doubles, |a, b| {
            either(double(a), double(b))
        });
        relation(&format!("{name}u"), "f32", &singles, |a, b| {
            either(single(a), single(b))
        });
    }
    relation("ne", "f64", &doubles, |a, b| {
        let (a, b) = (double(a), double(b));
        a != b && !a.is_nan() && !b.is_nan()
    });
    relation("neu", "f32", &singles, |a, b| single(a) != single(b));
    relation("num", "f64", &doubles, |a, b| {
        !double(a).is_nan() && !double(b).is_nan()
    });
    relation("nan", "f32", &singles, |a, b| {
        single(a).is_nan() || single(b).is_nan()
    });
    // A subnormal is zero where it is flushed.
    let flushed = evaluate(
        ["f32"; 2],
        "b32",
        &format!("setp.eq.ftz.f32 %p, %a, %b;\n{SELECT}"),
        &[[1, 0x8000_0001]],
    );
    assert_eq!(flushed, [1]);
}

#[test]
fn comparisons_combine_with_predicates() {
    let rows = pairs(&[0, 1, 5]);
    let instruction = "setp.gt.u32 %q, %a, 0;\nsetp.lt.and.u32 %p, %a, %b, !%q;\n";
    agree(
        ["b32"; 2],
        "b32",
        &format!("{instruction}{SELECT}"),
        &rows,
        |[a, b]| u64::from(a < b && a == 0),
    );
    let two = "{ .reg .pred %r, %s;\nsetp.lt.u32 %p|%q, %a, %b;\nsetp.eq.u32 %r, %a, 5;\n\
               xor.pred %s, %p, %r;\nand.pred %s, %s, %q;\nnot.pred %r, %s;\nor.pred %p, %r, %p;\n\
               selp.b32 %d, %a, 77, %p; }";
    agree(["b32"; 2], "b32", two, &rows, |[a, b]| {
        let (p, q, r) = (a < b, a >= b, a == 5);
        let s = (p ^ r) && q;
        if !s || p { a } else { 77 }
    });
    let constant = "mov.pred %p, -1;\nmov.pred %q, 0;\nselp.b32 %d, 2, 3, %p;\n\
                    @%q mov.b32 %d, 9;\n@!%q add.u32 %d, %d, %a;";
    agree(["b32"], "b32", constant, &[[5]], |[a]| a + 2);
}

#[test]
fn properties_of_floats() {
    let values = [0.0, 1.0, f32::INFINITY, f32::NAN, 1e-40].map(|x| [u64::from(x.to_bits())]);
    for (name, wanted) in [
        ("finite", [1, 1, 0, 0, 1]),
        ("infinite", [0, 0, 1, 0, 0]),
        ("number", [1, 1, 1, 0, 1]),
        ("notanumber", [0, 0, 0, 1, 0]),
        ("normal", [0, 1, 0, 0, 0]),
        ("subnormal", [0, 0, 0, 0, 1]),
    ] {
        let instruction = format!("testp.{name}.f32 %p, %a;\n{SELECT}");
        assert_eq!(
            evaluate(["f32"], "b32", &instruction, &values),
            wanted,
            "{name}"
        );
    }
}
