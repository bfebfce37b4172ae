//! `cvt`, and moves that pack and unpack.

use crate::harness::{agree, evaluate};

fn single(x: f32) -> u64 {
    u64::from(x.to_bits())
}

#[test]
fn floats_become_integers_clamped() {
    let values = [
        0.5_f32,
        -0.5,
        1.5,
        2.5,
        -2.5,
        3e9,
        -3e9,
        5e9,
        1e20,
        -1e20,
        f32::INFINITY,
        f32::NAN,
        1e-40,
    ];
    let rows = values.map(|x| [single(x)]);
    type Rounding = (&'static str, fn(f32) -> f32);
    let roundings: [Rounding; 4] = [
        ("rni", f32::round_ties_even),
        ("rzi", f32::trunc),
        ("rmi", f32::floor),
        ("rpi", f32::ceil),
    ];
    for (name, round) in roundings {
        let x = |bits: u64| round(f32::from_bits(bits as u32));
        // The host's casts clamp, and make 0 of NaN, as cvt does from f32 to 32 bits and less.
        agree(
            ["f32"],
            "b32",
            &format!("cvt.{name}.s32.f32 %d, %a;"),
            &rows,
            |[a]| u64::from((x(a) as i32).cast_unsigned()),
        );
        agree(
            ["f32"],
            "b32",
            &format!("cvt.{name}.u32.f32 %d, %a;"),
            &rows,
            |[a]| u64::from(x(a) as u32),
        );
        agree(
            ["f32"],
            "b64",
            &format!("cvt.{name}.s64.f32 %d, %a;"),
            &rows,
            |[a]| match x(a) {
                x if x.is_nan() => 1 << 63,
                x => (x as i64).cast_unsigned(),
            },
        );
        agree(
            ["f32"],
            "b16",
            &format!("cvt.{name}.s16.f32 %d, %a;"),
            &rows,
            |[a]| u64::from((x(a) as i16).cast_unsigned()),
        );
        agree(
            ["f32"],
            "f32",
            &format!("cvt.{name}.f32.f32 %d, %a;"),
            &rows,
            |[a]| match x(a) {
                x if x.is_nan() => 0x7fff_ffff,
                x => single(x),
            },
        );
    }
    let rows = [-1.0, 1e300, f64::NAN, 4_294_967_295.9].map(|x: f64| [x.to_bits()]);
    let found = evaluate(["f64"], "b32", "cvt.rzi.u32.f64 %d, %a;", &rows);
    assert_eq!(found, [0, 0xffff_ffff, 0x8000_0000, 0xffff_ffff]);
    let found = evaluate(["f64"], "b64", "cvt.rni.u64.f64 %d, %a;", &rows);
    assert_eq!(found, [0, u64::MAX, 1 << 63, 1 << 32]);
}

#[test]
fn integers_become_floats_in_every_rounding() {
    // 2^24 + 1 lies halfway between two singles, 2^53 + 1 between two doubles.
    let rows = [
        [16_777_217_u64],
        [(-16_777_217_i64).cast_unsigned()],
        [u64::MAX],
        [0],
    ];
    for (name, wanted) in [
        ("rn", [16_777_216.0_f32, -16_777_216.0, -1.0, 0.0]),
        ("rz", [16_777_216.0, -16_777_216.0, -1.0, 0.0]),
        ("rm", [16_777_216.0, -16_777_218.0, -1.0, 0.0]),
        ("rp", [16_777_218.0, -16_777_216.0, -1.0, 0.0]),
    ] {
        let found = evaluate(
            ["b64"],
            "f32",
            &format!("cvt.{name}.f32.s64 %d, %a;"),
            &rows,
        );
        assert_eq!(found, wanted.map(single), "{name}");
    }
    let found = evaluate(["b64"], "f32", "cvt.rn.f32.u64 %d, %a;", &rows[2..]);
    assert_eq!(found, [single(18_446_744_073_709_551_616.0), 0]);
    let rows = [[(1 << 53) + 1], [(1 << 53) + 3]];
    let found = evaluate(["b64"], "f64", "cvt.rn.f64.s64 %d, %a;", &rows);
    assert_eq!(
        found,
        [2.0_f64.powi(53), 2.0_f64.powi(53) + 4.0].map(f64::to_bits)
    );
    agree(
        ["b32"],
        "f64",
        "cvt.rn.f64.s32 %d, %a;",
        &[[0xffff_fff9]],
        |_| (-7.0_f64).to_bits(),
    );
    agree(
        ["b32"],
        "f64",
        "cvt.rn.f64.u32 %d, %a;",
        &[[0xffff_fff9]],
        |[a]| (a as f64).to_bits(),
    );
}

#[test]
fn doubles_become_singles_in_every_rounding() {
    let values = [0.1_f64, -0.1, 1e300, -1e300, 1e-46, f64::NAN];
    let rows = values.map(|x| [x.to_bits()]);
    let tenth = 0.1_f32;
    assert!(f64::from(tenth) > 0.1);
    let least = f32::from_bits(1);
    let nan = f32::from_bits(0x7fff_ffff);
    for (name, wanted) in [
        (
            "rn",
            [tenth, -tenth, f32::INFINITY, f32::NEG_INFINITY, 0.0, nan],
        ),
        (
            "rz",
            [
                tenth.next_down(),
                -tenth.next_down(),
                f32::MAX,
                f32::MIN,
                0.0,
                nan,
            ],
        ),
        (
            "rm",
            [
                tenth.next_down(),
                -tenth,
                f32::MAX,
                f32::NEG_INFINITY,
                0.0,
                nan,
            ],
        ),
        (
            "rp",
            [
                tenth,
                -tenth.next_down(),
                f32::INFINITY,
                f32::MIN,
                least,
                nan,
            ],
        ),
    ] {
        let found = evaluate(
            ["f64"],
            "f32",
            &format!("cvt.{name}.f32.f64 %d, %a;"),
            &rows,
        );
        assert_eq!(found, wanted.map(single), "{name}");
    }
    let found = evaluate(
        ["f64"],
        "f32",
        "cvt.rn.ftz.f32.f64 %d, %a;",
        &[[1e-40_f64.to_bits()]],
    );
    assert_eq!(found, [0]);
    agree(
        ["f32"],
        "f64",
        "cvt.f64.f32 %d, %a;",
        &[[single(0.1)]],
        |_| f64::from(tenth).to_bits(),
    );
    let found = evaluate(
        ["f32"],
        "f32",
        "cvt.sat.f32.f32 %d, %a;",
        &[
            [single(-3.0)],
            [single(0.25)],
            [single(7.0)],
            [single(f32::NAN)],
        ],
    );
    assert_eq!(found, [0.0, 0.25, 1.0, 0.0].map(single));
}

#[test]
fn integers_widen_narrow_and_saturate() {
    let rows = [[0x7f], [0x80], [0xff], [0x1234_5680], [0xffff_ff80]];
    agree(["b32"], "b32", "cvt.s32.s8 %d, %a;", &rows, |[a]| {
        u64::from(i32::from(a as i8).cast_unsigned())
    });
    agree(["b32"], "b32", "cvt.u32.u8 %d, %a;", &rows, |[a]| a & 0xff);
    agree(["b32"], "b64", "cvt.s64.s32 %d, %a;", &rows, |[a]| {
        i64::from(a as i32).cast_unsigned()
    });
    agree(["b32"], "b64", "cvt.u64.u32 %d, %a;", &rows, |[a]| a);
    agree(
        ["b64"],
        "b32",
        "cvt.u32.u64 %d, %a;",
        &[[0x1_2345_6789]],
        |[a]| a & 0xffff_ffff,
    );
    agree(["b32"], "b32", "cvt.sat.s8.s32 %d, %a;", &rows, |[a]| {
        let x = (a as i32).clamp(-128, 127);
        u64::from(x.cast_unsigned())
    });
    agree(["b32"], "b32", "cvt.sat.u16.s32 %d, %a;", &rows, |[a]| {
        (a as i32).clamp(0, 0xffff) as u64
    });
}

#[test]
fn moves_pack_and_unpack() {
    let swap = "{ .reg .b32 %l, %h;\nmov.b64 {%l, %h}, %a;\nmov.b64 %d, {%h, %l}; }";
    agree(["b64"], "b64", swap, &[[0x1111_2222_3333_4444]], |[a]| {
        a.rotate_left(32)
    });
    let shorts = "{ .reg .b16 %l, %h;\nmov.b32 {%l, %h}, %a;\nmov.b32 %d, {%h, %l}; }";
    agree(["b32"], "b32", shorts, &[[0x1111_2222]], |_| 0x2222_1111);
    let high = "{ .reg .b32 %h;\nmov.b64 {_, %h}, %a;\nmov.b32 %d, %h; }";
    agree(["b64"], "b32", high, &[[0x1111_2222_3333_4444]], |_| {
        0x1111_2222
    });
}
