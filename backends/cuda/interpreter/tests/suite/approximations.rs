//! Approximate instructions: exact by default, within their bounds when perturbed.

use detfree_ptx_interpreter::{Approximation, Machine, Options};

use crate::harness::{evaluate, evaluate_on};

fn perturbed() -> Machine {
    let approximation = Approximation::Perturbed;
    Machine::new(Options {
        approximation,
        memory: 1 << 24,
        ..Options::default()
    })
}

fn inputs(least: f64, most: f64) -> Vec<[u64; 1]> {
    let step = (most - least) / 4000.0;
    (0..4000)
        .map(|i| [u64::from(((least + step * f64::from(i)) as f32).to_bits())])
        .collect()
}

/// One instruction, where it is tried, its exact value, and the error that the ISA allows of a
/// result of that size.
type Case = (&'static str, [f64; 2], fn(f64) -> f64, fn(f64) -> f64);

const CASES: [Case; 9] = [
    ("ex2.approx.ftz.f32", [-20.0, 20.0], f64::exp2, |y| {
        2.0 * ulp(y)
    }),
    ("lg2.approx.f32", [0.51, 1.99], f64::log2, |_| 2.4e-7),
    ("lg2.approx.f32", [2.01, 1e6], f64::log2, |y| {
        2.4e-7 * y.abs()
    }),
    ("sin.approx.f32", [-6.2, 6.2], f64::sin, |_| 6.8e-7),
    ("cos.approx.ftz.f32", [-6.2, 6.2], f64::cos, |_| 6.8e-7),
    ("tanh.approx.f32", [-5.0, 5.0], f64::tanh, |y| {
        4.9e-4 * y.abs()
    }),
    ("rcp.approx.ftz.f32", [0.1, 9.0], f64::recip, |y| ulp(y)),
    (
        "rsqrt.approx.f32",
        [0.1, 1e6],
        |x| x.sqrt().recip(),
        |y| 1.28e-7 * y.abs(),
    ),
    ("sqrt.approx.f32", [0.1, 1e6], f64::sqrt, |y| {
        1.2e-7 * y.abs()
    }),
];

fn ulp(y: f64) -> f64 {
    let y = (y.abs() as f32).next_down();
    f64::from(y.next_up()) - f64::from(y)
}

#[test]
fn exact_results_are_the_nearest() {
    for (opcode, [least, most], exact, _) in CASES {
        let rows = inputs(least, most);
        let found = evaluate(["f32"], "f32", &format!("{opcode} %d, %a;"), &rows);
        for ([x], found) in rows.iter().zip(found) {
            let x = f32::from_bits(*x as u32);
            let wanted = exact(x.into()) as f32;
            assert_eq!(f32::from_bits(found as u32), wanted, "{opcode} {x}");
        }
    }
}

#[test]
fn perturbed_results_use_their_bounds_and_keep_them() {
    for (opcode, [least, most], exact, bound) in CASES {
        let rows = inputs(least, most);
        let instruction = format!("{opcode} %d, %a;");
        let found = evaluate_on(&mut perturbed(), ["f32"], "f32", &instruction, &rows);
        let again = evaluate_on(&mut perturbed(), ["f32"], "f32", &instruction, &rows);
        assert_eq!(
            found, again,
            "{opcode}: the perturbation is the same in each run"
        );
        let mut widest: f64 = 0.0;
        for ([x], found) in rows.iter().zip(found) {
            let x = f32::from_bits(*x as u32);
            let exact = exact(x.into());
            let error = (f64::from(f32::from_bits(found as u32)) - exact).abs();
            // Below half a place no single can be nearer than the rounding of the exact result.
            let allowed = bound(exact).max(ulp(exact) / 2.0);
            assert!(
                error <= allowed,
                "{opcode} {x}: error {error:e}, allowed {allowed:e}"
            );
            widest = widest.max(error / allowed);
        }
        // 4000 draws from a flat distribution: the largest falls short of 0.8 never.
        assert!(
            widest > 0.8,
            "{opcode}: at most {widest} of the bound is used"
        );
    }
}

#[test]
fn whole_powers_of_two_are_exact_when_perturbed() {
    let rows: Vec<_> = (-20_i32..20)
        .map(|x| [u64::from((x as f32).to_bits())])
        .collect();
    let found = evaluate_on(
        &mut perturbed(),
        ["f32"],
        "f32",
        "ex2.approx.ftz.f32 %d, %a;",
        &rows,
    );
    let wanted: Vec<_> = (-20..20)
        .map(|x| u64::from(2.0_f32.powi(x).to_bits()))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn divisions() {
    let rows: Vec<_> = inputs(0.3, 7.0)
        .into_iter()
        .map(|[y]| [u64::from(1.7_f32.to_bits()), y])
        .collect();
    for opcode in ["div.approx.f32", "div.full.f32", "div.approx.ftz.f32"] {
        let instruction = format!("{opcode} %d, %a, %b;");
        let exact = evaluate(["f32"; 2], "f32", &instruction, &rows);
        let moved = evaluate_on(&mut perturbed(), ["f32"; 2], "f32", &instruction, &rows);
        let mut differ = 0;
        for ((&[x, y], exact), moved) in rows.iter().zip(exact).zip(moved) {
            let quotient = f32::from_bits(x as u32) / f32::from_bits(y as u32);
            assert_eq!(f32::from_bits(exact as u32), quotient);
            assert!(exact.abs_diff(moved) <= 2, "{opcode} {x:x} {y:x}");
            differ += u32::from(exact != moved);
        }
        assert!(
            differ > 1000,
            "{opcode}: {differ} of 4000 results are moved"
        );
    }
    // A divisor above 2^126 makes div.approx give zero, and div.full not.
    let big = [[
        u64::from(2.0_f32.powi(120).to_bits()),
        u64::from(2.0_f32.powi(127).to_bits()),
    ]];
    assert_eq!(
        evaluate(["f32"; 2], "f32", "div.approx.f32 %d, %a, %b;", &big),
        [0]
    );
    let full = evaluate(["f32"; 2], "f32", "div.full.f32 %d, %a, %b;", &big);
    assert_eq!(full, [u64::from(2.0_f32.powi(-7).to_bits())]);
}

#[test]
fn gross_approximations_of_doubles() {
    let rows: Vec<_> = (1..2000)
        .map(|i| [(f64::from(i) * 0.37).to_bits()])
        .collect();
    for (opcode, exact) in [
        ("rcp.approx.ftz.f64", f64::recip as fn(f64) -> f64),
        ("rsqrt.approx.ftz.f64", |x| x.sqrt().recip()),
    ] {
        for machine in [&mut crate::harness::machine(), &mut perturbed()] {
            let instruction = format!("{opcode} %d, %a;");
            let found = evaluate_on(machine, ["f64"], "f64", &instruction, &rows);
            for ([x], found) in rows.iter().zip(found) {
                assert_eq!(found & 0xffff_ffff, 0, "{opcode}: the low word is zero");
                let exact = exact(f64::from_bits(*x));
                let error = (f64::from_bits(found) / exact - 1.0).abs();
                // 2^-20 of the result, and 2^-20 for the bits of the operand that are not read.
                assert!(error < 2.0_f64.powi(-19), "{opcode} {x:x}: {error:e}");
            }
        }
    }
    let ends = [0.0, f64::INFINITY, -0.0, 1e-310].map(|x| [x.to_bits()]);
    let found = evaluate(["f64"], "f64", "rcp.approx.ftz.f64 %d, %a;", &ends);
    let wanted = [f64::INFINITY, 0.0, f64::NEG_INFINITY, f64::INFINITY];
    assert_eq!(found, wanted.map(f64::to_bits));
}

#[test]
fn ends_of_the_domains() {
    let bits = |x: f32| u64::from(x.to_bits());
    let nan = f32::from_bits(0x7fff_ffff);
    for machine in [&mut crate::harness::machine(), &mut perturbed()] {
        for (instruction, x, wanted) in [
            ("ex2.approx.f32", f32::NEG_INFINITY, 0.0),
            ("ex2.approx.f32", 200.0, f32::INFINITY),
            ("ex2.approx.ftz.f32", -0.0, 1.0),
            ("lg2.approx.f32", 0.0, f32::NEG_INFINITY),
            ("lg2.approx.f32", -1.0, nan),
            ("rcp.approx.f32", -0.0, f32::NEG_INFINITY),
            ("rsqrt.approx.f32", f32::INFINITY, 0.0),
            ("sqrt.approx.f32", -1.0, nan),
            ("tanh.approx.f32", f32::INFINITY, 1.0),
            ("sin.approx.f32", f32::INFINITY, nan),
        ] {
            let text = format!("{instruction} %d, %a;");
            let found = evaluate_on(machine, ["f32"], "f32", &text, &[[bits(x)]]);
            let close =
                found[0].abs_diff(bits(wanted)) <= u64::from(instruction.starts_with("tanh")) << 13;
            assert!(
                close,
                "{instruction} {x}: {:?}",
                f32::from_bits(found[0] as u32)
            );
        }
    }
}
