//! Floating-point arithmetic: every rounding, `.ftz`, `.sat`, NaN and infinities.

use crate::harness::{agree, evaluate, noise, pairs, triples};

const NAN: u32 = 0x7fff_ffff;

fn single(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn bits(x: f32) -> u64 {
    u64::from(if x.is_nan() { NAN } else { x.to_bits() })
}

/// Zeros, ones, ends of the range, subnormals, infinities, NaN, and some in between.
fn singles() -> Vec<u64> {
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        -1e-40,
        1e-45,
        3e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        16_777_217.0,
        0.1,
    ];
    edges
        .map(bits)
        .into_iter()
        .chain(noise(8).iter().map(|x| x >> 32))
        .collect()
}

fn doubles() -> Vec<u64> {
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        -1e-310,
        5e-324,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.1,
    ];
    edges
        .map(f64::to_bits)
        .into_iter()
        .chain(noise(8))
        .collect()
}

fn same_double(found: f64, wanted: f64) -> bool {
    found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan()
}

#[test]
fn singles_round_to_nearest_as_the_host_does() {
    let two = |instruction: &str, host: fn(f32, f32) -> f32| {
        agree(
            ["f32"; 2],
            "f32",
            instruction,
            &pairs(&singles()),
            |[a, b]| bits(host(single(a), single(b))),
        );
    };
    two("add.f32 %d, %a, %b;", |a, b| a + b);
    two("sub.rn.f32 %d, %a, %b;", |a, b| a - b);
    two("mul.f32 %d, %a, %b;", |a, b| a * b);
    two("div.rn.f32 %d, %a, %b;", |a, b| a / b);
    let rows: Vec<_> = singles().into_iter().map(|x| [x]).collect();
    agree(["f32"], "f32", "sqrt.rn.f32 %d, %a;", &rows, |[a]| {
        bits(single(a).sqrt())
    });
    agree(["f32"], "f32", "rcp.rn.f32 %d, %a;", &rows, |[a]| {
        bits(1.0 / single(a))
    });
    agree(["f32"], "f32", "abs.f32 %d, %a;", &rows, |[a]| {
        bits(single(a).abs())
    });
    agree(["f32"], "f32", "neg.f32 %d, %a;", &rows, |[a]| {
        bits(-single(a))
    });
    agree(
        ["f32"; 3],
        "f32",
        "fma.rn.f32 %d, %a, %b, %c;",
        &triples(&singles()),
        |[a, b, c]| bits(single(a).mul_add(single(b), single(c))),
    );
}

#[test]
fn doubles_round_to_nearest_as_the_host_does() {
    let two = |instruction: &str, host: fn(f64, f64) -> f64| {
        let rows = pairs(&doubles());
        let found = evaluate(["f64"; 2], "f64", instruction, &rows);
        for (&[a, b], found) in rows.iter().zip(found) {
            let wanted = host(f64::from_bits(a), f64::from_bits(b));
            let found = f64::from_bits(found);
            assert!(
                same_double(found, wanted),
                "{instruction} {a:x} {b:x}: {found} {wanted}"
            );
        }
    };
    two("add.f64 %d, %a, %b;", |a, b| a + b);
    two("sub.f64 %d, %a, %b;", |a, b| a - b);
    two("mul.rn.f64 %d, %a, %b;", |a, b| a * b);
    two("div.rn.f64 %d, %a, %b;", |a, b| a / b);
    two("fma.rn.f64 %d, %a, %b, %a;", |a, b| a.mul_add(b, a));
    two("add.f64 %d, %a, %b; sqrt.rn.f64 %d, %d;", |a, b| {
        (a + b).sqrt()
    });
    two("min.f64 %d, %a, %b;", |a, b| {
        let zeros = a == 0.0 && b == 0.0 && (a.is_sign_negative() || b.is_sign_negative());
        if zeros { -0.0 } else { a.min(b) }
    });
}

/// Which side of the exact result a rounding may end on: 1 above, -1 below, 0 towards zero.
const DIRECTIONS: [(&str, i32); 3] = [("rz", 0), ("rm", -1), ("rp", 1)];

/// `residual` has the sign of exact − found. Checks that `found` is the nearest representable
/// number on its side: its neighbour towards the exact result must lie beyond it.
fn on_its_side(found: f64, direction: i32, residual: f64, beyond: impl Fn(f64) -> f64, what: &str) {
    let above = match direction {
        0 => found < 0.0 || (found == 0.0 && residual < 0.0),
        other => other > 0,
    };
    if above {
        assert!(
            residual <= 0.0,
            "{what}: {found:e} is below the exact result"
        );
        assert!(
            residual == 0.0 || beyond(found.next_down()) > 0.0,
            "{what}: {found:e} is too high"
        );
    } else {
        assert!(
            residual >= 0.0,
            "{what}: {found:e} is above the exact result"
        );
        assert!(
            residual == 0.0 || beyond(found.next_up()) < 0.0,
            "{what}: {found:e} is too low"
        );
    }
}

/// Numbers around one, whose sums, products and quotients stay far from the ends of the range.
fn moderate(count: usize) -> Vec<f64> {
    let number = |x: &u64| {
        let magnitude = f64::from_bits((x >> 12) | (1023 - 8 + (x & 15)) << 52);
        if x & 16 == 0 { magnitude } else { -magnitude }
    };
    noise(count).iter().map(number).collect()
}

/// The error of a rounded sum, exactly.
fn sum_error(a: f64, b: f64, sum: f64) -> f64 {
    // Exact in any rounding as long as the operands are this close.
    let b_part = sum - a;
    (a - (sum - b_part)) + (b - b_part)
}

#[test]
fn doubles_round_in_every_direction() {
    let values: Vec<u64> = moderate(24).into_iter().map(f64::to_bits).collect();
    let rows = pairs(&values);
    for (name, direction) in DIRECTIONS {
        let apply = |op: &str| {
            let instruction = format!("{op}.{name}.f64 %d, %a, %b;");
            let found = evaluate(["f64"; 2], "f64", &instruction, &rows);
            let decode = |x: u64| f64::from_bits(x);
            let rows = rows.iter().map(|row| row.map(decode));
            rows.zip(found.into_iter().map(decode)).collect::<Vec<_>>()
        };
        for ([a, b], found) in apply("add") {
            let nearest = a + b;
            let error = sum_error(a, b, nearest);
            // exact − x = (nearest − x) + error, and nearest − x is exact: they are neighbours.
            let residual = |x: f64| (nearest - x) + error;
            on_its_side(
                found,
                direction,
                residual(found),
                residual,
                &format!("add.{name} {a} {b}"),
            );
        }
        for ([a, b], found) in apply("mul") {
            let residual = |x: f64| a.mul_add(b, -x);
            on_its_side(
                found,
                direction,
                residual(found),
                residual,
                &format!("mul.{name} {a} {b}"),
            );
        }
        for ([a, b], found) in apply("div") {
            // (a − x·b) / b has the sign of a/b − x.
            let residual = |x: f64| (-x).mul_add(b, a) * b.signum();
            on_its_side(
                found,
                direction,
                residual(found),
                residual,
                &format!("div.{name} {a} {b}"),
            );
        }
        let roots: Vec<_> = values.iter().map(|x| [x & !(1 << 63)]).collect();
        let found = evaluate(["f64"], "f64", &format!("sqrt.{name}.f64 %d, %a;"), &roots);
        for ([a], found) in roots.iter().map(|row| row.map(f64::from_bits)).zip(found) {
            let residual = |x: f64| (-x).mul_add(x, a);
            let found = f64::from_bits(found);
            on_its_side(
                found,
                direction,
                residual(found),
                residual,
                &format!("sqrt.{name} {a}"),
            );
        }
    }
}

#[test]
fn singles_round_in_every_direction() {
    // In double precision products, and sums of numbers this close, are exact.
    let values: Vec<u64> = moderate(24).iter().map(|&x| bits(x as f32)).collect();
    let rows = triples(&values[..12]);
    for (name, direction) in DIRECTIONS {
        let wanted = |exact: f64| {
            if exact == 0.0 && direction < 0 {
                // The difference of equal numbers.
                return -0.0;
            }
            let nearest = exact as f32;
            let near = f64::from(nearest);
            let down = match direction {
                0 => exact > 0.0,
                other => other < 0,
            };
            if near == exact || (near < exact) == down {
                nearest
            } else if down {
                nearest.next_down()
            } else {
                nearest.next_up()
            }
        };
        let check = |instruction: &str, exact: fn(f64, f64, f64) -> f64| {
            let instruction = instruction.replace("RND", name);
            agree(["f32"; 3], "f32", &instruction, &rows, |row| {
                let [a, b, c] = row.map(|x| f64::from(single(x)));
                bits(wanted(exact(a, b, c)))
            });
        };
        check("add.RND.f32 %d, %a, %b;", |a, b, _| a + b);
        check("sub.RND.f32 %d, %a, %b;", |a, b, _| a - b);
        check("mul.RND.f32 %d, %a, %b;", |a, b, _| a * b);
    }
    // fma.rm of NVRTC's expf: a number so large that its last place counts integers.
    let found = evaluate(
        ["f32"],
        "f32",
        "fma.rm.f32 %d, %a, 0f437C0000, 0f4B400001;",
        &[[bits(0.5)], [bits(0.503)], [bits(0.0)], [bits(1.0)]],
    );
    let floor = |x: f64| (12_582_913.0 + (x * 252.0).floor()) as f32;
    assert_eq!(
        found,
        [0.5, f64::from(0.503_f32), 0.0, 1.0].map(|x| bits(floor(x)))
    );
}

#[test]
fn results_at_the_ends_of_the_range() {
    let cases = [
        ("mul.rz.f32 %d, %a, %b;", f32::MAX, 2.0, f32::MAX),
        ("mul.rm.f32 %d, %a, %b;", f32::MAX, 2.0, f32::MAX),
        ("mul.rp.f32 %d, %a, %b;", f32::MAX, 2.0, f32::INFINITY),
        ("mul.rp.f32 %d, %a, %b;", f32::MIN, 2.0, f32::MIN),
        ("mul.rm.f32 %d, %a, %b;", f32::MIN, 2.0, f32::NEG_INFINITY),
        ("mul.rp.f32 %d, %a, %b;", 1e-45, 0.25, f32::from_bits(1)),
        ("mul.rz.f32 %d, %a, %b;", 1e-45, 0.25, 0.0),
        ("mul.rm.f32 %d, %a, %b;", -1e-45, 0.25, -f32::from_bits(1)),
        ("add.rm.f32 %d, %a, %b;", 1.0, -1.0, -0.0),
        ("add.rp.f32 %d, %a, %b;", 1.0, -1.0, 0.0),
        ("add.rz.f32 %d, %a, %b;", 1.0, 1e-30, 1.0),
        ("add.rp.f32 %d, %a, %b;", 1.0, 1e-30, 1.0 + f32::EPSILON),
        (
            "add.rm.f32 %d, %a, %b;",
            1.0,
            -1e-30,
            1.0 - f32::EPSILON / 2.0,
        ),
        ("add.rz.f32 %d, %a, %b;", f32::INFINITY, 1.0, f32::INFINITY),
        ("div.rp.f32 %d, %a, %b;", 1.0, 0.0, f32::INFINITY),
        // Infinity less infinity is the NaN of the device, whose sign is plus.
        (
            "sub.f32 %d, %a, %b;",
            f32::INFINITY,
            f32::INFINITY,
            f32::from_bits(NAN),
        ),
    ];
    for (instruction, a, b, wanted) in cases {
        let found = evaluate(["f32"; 2], "f32", instruction, &[[bits(a), bits(b)]]);
        assert_eq!(
            found,
            [u64::from(wanted.to_bits())],
            "{instruction} {a:e} {b:e}"
        );
    }
}

#[test]
fn saturation_and_flushing() {
    let cases = [
        ("add.sat.f32 %d, %a, %b;", 0.75, 0.5, 1.0),
        ("add.sat.f32 %d, %a, %b;", -0.75, 0.5, 0.0),
        ("add.sat.f32 %d, %a, %b;", f32::NAN, 0.5, 0.0),
        ("mul.sat.f32 %d, %a, %b;", -0.0, 0.5, 0.0),
        ("mul.ftz.f32 %d, %a, %b;", 1e-30, 1e-10, 0.0),
        ("mul.ftz.f32 %d, %a, %b;", -1e-30, 1e-10, -0.0),
        ("add.ftz.f32 %d, %a, %b;", 1e-40, 1e-40, 0.0),
        ("add.ftz.f32 %d, %a, %b;", -1e-40, 1.0, 1.0),
        ("fma.rn.ftz.f32 %d, %a, %b, %a;", 1e-40, 1.0, 0.0),
        ("div.rn.ftz.f32 %d, %a, %b;", 1.0, 1e-40, f32::INFINITY),
        ("abs.ftz.f32 %d, %a;", -1e-40, 0.0, 0.0),
        ("mul.f32 %d, %a, %b;", 1e-30, 1e-10, 1e-40),
        ("min.f32 %d, %a, %b;", f32::NAN, 1.0, 1.0),
        ("max.f32 %d, %a, %b;", -0.0, 0.0, 0.0),
        ("min.f32 %d, %a, %b;", 0.0, -0.0, -0.0),
        (
            "min.NaN.f32 %d, %a, %b;",
            f32::NAN,
            1.0,
            f32::from_bits(NAN),
        ),
        (
            "max.f32 %d, %a, %b;",
            f32::NAN,
            f32::NAN,
            f32::from_bits(NAN),
        ),
        // The sign of the first, the magnitude of the second.
        ("copysign.f32 %d, %a, %b;", -1.0, 2.5, -2.5),
        ("copysign.f32 %d, %a, %b;", 0.0, -2.5, 2.5),
    ];
    for (instruction, a, b, wanted) in cases {
        let found = evaluate(["f32"; 2], "f32", instruction, &[[bits(a), bits(b)]]);
        assert_eq!(
            found,
            [u64::from(f32::to_bits(wanted))],
            "{instruction} {a:e} {b:e}"
        );
    }
}
