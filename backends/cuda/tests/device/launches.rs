//! How many kernels a term of a series takes: the interpreter prints every launch.

use std::env;
use std::process::Command;

use detfree_core::{
    Activation, Allocate, Backend, DenseBackend, FirstTerm, Key, RouletteSchedule, Series, Shape,
    Terms, Workspace,
};
use detfree_cuda::DeviceScalar;
use detfree_flows::mlp::{Mlp, MlpTape};
use libtest_mimic::Completion;

use crate::{common, dirty, normals, read, read_rows};

/// Set in a process that runs nothing else: other tests' launches would be among its own.
pub(crate) const ALONE: &str = "DETFREE_ALONE";

/// Printed before each part of the child's work.
const MARK: &str = "-- next";

/// Of a net D–h–h–D, with h on either side of what the kernel of small links takes.
pub(crate) fn of_a_term<T: DeviceScalar>() -> Completion {
    if common::device_required() {
        return Completion::ignored_with("the interpreter counts launches");
    }
    if env::var_os(ALONE).is_some() {
        for hidden in [128, 129] {
            three_terms_and_four::<T>(hidden);
        }
        return Completion::Completed;
    }
    let end = format!("_f{}", 8 * size_of::<T>());
    let printed = alone(&format!("launches::of_a_term{end}"), &[]);
    let parts: Vec<Vec<String>> = printed
        .split(MARK)
        .map(|part| kernels(part, &end))
        .collect();
    let [_, _, small, small_and_one, _, large, large_and_one] = parts.as_slice() else {
        panic!("{printed}");
    };
    let term = |few: &[String], many: &[String]| {
        assert!(many.starts_with(few), "{printed}");
        many[few.len()..].join(" ")
    };
    assert_eq!(term(small, small_and_one), "chain dot_rows axpy");
    let product = "product_small";
    assert_eq!(
        term(large, large_and_one),
        format!("{product} {product} {product} dot_rows axpy")
    );
    Completion::Completed
}

/// The memory of the host is borrowed for a call: the driver must be done with it when that returns.
pub(crate) fn no_copy_outlasts_its_call() -> Completion {
    if common::device_required() {
        return Completion::ignored_with("the interpreter tells copies apart");
    }
    if env::var_os(ALONE).is_some() {
        eprintln!("{MARK}");
        let b = common::own::<f64>().unwrap();
        let mut x = normals(&b, Shape::new(3, 3), 1, 1.0);
        let mut rows = b.rows(3).unwrap();
        b.upload_rows(&[1.0, 2.0, 3.0], &mut rows).unwrap();
        b.scale_rows(&rows, &mut x).unwrap();
        assert_eq!(read_rows(&b, &rows).len() + read(&b, &x).len(), 12);
        b.log_abs_det(&mut x).unwrap();
        return Completion::Completed;
    }
    let printed = alone("launches::no_copy_outlasts_its_call", &[]);
    let (_, work) = printed.split_once(MARK).unwrap();
    assert!(work.contains("launch lu_f64"), "{printed}");
    assert!(!work.contains("asynchronous copy"), "{printed}");
    Completion::Completed
}

/// What the interpreter prints of a trial in a process of its own.
pub(crate) fn alone(trial: &str, variables: &[(&str, &str)]) -> String {
    let run = Command::new(env::current_exe().unwrap())
        .args([trial, "--exact"])
        .env(ALONE, "1")
        .env("DETFREE_PTX_LAUNCHES", "print")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let printed = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{printed}");
    printed
}

/// The kernels that were launched, without the end of their names.
fn kernels(printed: &str, end: &str) -> Vec<String> {
    let names = printed
        .lines()
        .filter_map(|line| line.strip_prefix("launch "));
    names.map(|name| name.replace(end, "")).collect()
}

/// Value and sum of a series of three terms, and of four.
fn three_terms_and_four<T: DeviceScalar>(hidden: usize) {
    eprintln!("{MARK}");
    let b = common::own::<T>().unwrap();
    let (shape, widths) = (Shape::new(11, 10), [10, hidden, hidden, 10]);
    let net = Mlp::random(&b, &widths, Activation::Tanh, 1.0, Key::new(1)).unwrap();
    let mut tape = MlpTape::new(&b, &net, shape.rows).unwrap();
    let (x, mut y) = (normals(&b, shape, 2, 1.0), dirty(&b, shape));
    let mut op = tape.linearise(&b, &net, &x, &mut y).unwrap();
    let mut workspace = Workspace::allocate(&b, shape).unwrap();
    *workspace.probe_mut() = normals(&b, shape, 3, 1.0);
    let mut value = b.rows(shape.rows).unwrap();
    let series = Series {
        schedule: RouletteSchedule::truncated(4).unwrap(),
        first: FirstTerm::Probed,
    };
    for terms in [3, 4] {
        eprintln!("{MARK}");
        let terms = Terms::Same(terms);
        let run = series.value_and_sum(&b, &mut op, terms, &mut workspace, &mut value);
        run.unwrap();
    }
}
