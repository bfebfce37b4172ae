//! Kernels as a compiler writes them: right answers, and what is found when one thing is changed.

use detfree_ptx_interpreter::{Fault, FaultKind, Geometry, LaunchError, Machine};

use crate::harness::{halves, machine};

const PTX: &str = include_str!("../ptx/programs.ptx");

fn singles(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn upload(machine: &mut Machine, bytes: &[u8]) -> u64 {
    let memory = machine.allocate(bytes.len()).unwrap();
    machine.write(memory, bytes).unwrap();
    memory
}

fn launch(
    machine: &mut Machine,
    text: &str,
    kernel: &str,
    geometry: Geometry,
    arguments: &[&[u8]],
) -> Result<(), Fault> {
    let loaded = machine.load(text).unwrap_or_else(|error| panic!("{error}"));
    match machine.launch(loaded.function(kernel).unwrap(), geometry, arguments) {
        Ok(()) => Ok(()),
        Err(LaunchError::Fault(fault)) => Err(*fault),
        Err(refused) => panic!("{refused}"),
    }
}

/// The module with occurrence `nth` of `old` in `kernel` replaced.
fn changed(kernel: &str, old: &str, nth: usize, new: &str) -> String {
    let start = PTX.find(&format!(".entry {kernel}(")).unwrap();
    let at = PTX[start..].match_indices(old).nth(nth).unwrap().0 + start;
    format!("{}{new}{}", &PTX[..at], &PTX[at + old.len()..])
}

/// An error of the kernel, or a wrong result.
fn product(text: &str, [rows, inner, columns]: [usize; 3]) -> Result<(), String> {
    let mut machine = machine();
    let a: Vec<f32> = (0..rows * inner).map(|i| (i % 7) as f32 - 2.0).collect();
    let b: Vec<f32> = (0..inner * columns).map(|i| (i % 5) as f32 - 1.0).collect();
    let (da, db) = (
        upload(&mut machine, &singles(&a)),
        upload(&mut machine, &singles(&b)),
    );
    let dc = machine.allocate(4 * rows * columns).unwrap();
    let size = |n: usize| (n as i32).to_le_bytes();
    let grid = [columns.div_ceil(8) as u32, rows.div_ceil(8) as u32, 1];
    let geometry = Geometry {
        grid,
        block: [8, 8, 1],
        shared_bytes: 0,
    };
    let (m, k, n) = (size(rows), size(inner), size(columns));
    let (pa, pb, pc) = (da.to_le_bytes(), db.to_le_bytes(), dc.to_le_bytes());
    launch(
        &mut machine,
        text,
        "tiled_product",
        geometry,
        &[&pa, &pb, &pc, &m, &k, &n],
    )
    .map_err(|fault| fault.to_string())?;
    let found = halves(machine.read(dc, 4 * rows * columns).unwrap());
    for row in 0..rows {
        for column in 0..columns {
            // Small integers: every order of summation is exact.
            let wanted: f32 = (0..inner)
                .map(|k| a[row * inner + k] * b[k * columns + column])
                .sum();
            let found = f32::from_bits(found[row * columns + column]);
            if found != wanted {
                return Err(format!(
                    "wrong result: {found} at {row}, {column}, not {wanted}"
                ));
            }
        }
    }
    Ok(())
}

#[test]
fn a_tiled_product_and_its_mutants() {
    for sizes in [[8, 8, 8], [1, 1, 1], [13, 21, 9], [16, 30, 17]] {
        product(PTX, sizes).unwrap();
    }
    let sizes = [13, 30, 17];
    // Neither barrier can be spared.
    for nth in 0..2 {
        let error =
            product(&changed("tiled_product", "bar.sync \t0;", nth, ""), sizes).unwrap_err();
        assert!(error.starts_with("Race"), "{error}");
    }
    // Nor can a test of a bound be off by one.
    let start = PTX.find(".entry tiled_product(").unwrap();
    let end = start + PTX[start..].find("\n}").unwrap();
    let tests = PTX[start..end].matches("setp.ge.s32").count();
    assert!(tests >= 6, "{tests} tests of bounds");
    for nth in 0..tests {
        let mutant = changed("tiled_product", "setp.ge.s32", nth, "setp.gt.s32");
        let error = product(&mutant, sizes).expect_err("a mutant survives");
        assert!(
            !error.starts_with("wrong result"),
            "the interpreter itself finds it: {error}"
        );
    }
}

fn sums(text: &str, n: u32) -> Result<(), Fault> {
    let mut machine = machine();
    let x: Vec<u8> = (0..n).flat_map(|i| f64::from(i).to_le_bytes()).collect();
    let x = upload(&mut machine, &x);
    let out = machine.allocate(24).unwrap();
    let arguments: [&[u8]; 3] = [&x.to_le_bytes(), &out.to_le_bytes(), &n.to_le_bytes()];
    launch(
        &mut machine,
        text,
        "block_sums",
        Geometry::line(3, 128),
        &arguments,
    )?;
    let sums = crate::harness::words(machine.read(out, 24).unwrap());
    let total: f64 = sums.into_iter().map(f64::from_bits).sum();
    assert_eq!(total, f64::from(n - 1) * f64::from(n) / 2.0);
    Ok(())
}

#[test]
fn a_reduction_and_its_mutants() {
    for n in [1, 31, 1000, 1025] {
        sums(PTX, n).unwrap();
    }
    let fault = sums(&changed("block_sums", "bar.sync \t0;", 0, ""), 1000).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Uninitialised, "{fault}");
    let fault = sums(&changed("block_sums", "setp.ge.u32", 0, "setp.gt.u32"), 200).unwrap_err();
    assert_eq!(fault.kind, FaultKind::OutOfBounds, "{fault}");
}

#[test]
fn dynamic_shared_memory() {
    let mut machine = machine();
    let n = 100_u32;
    let x: Vec<u8> = (0..n).flat_map(u32::to_le_bytes).collect();
    let x = upload(&mut machine, &x);
    let y = machine.allocate(4 * n as usize).unwrap();
    let arguments: [&[u8]; 3] = [&x.to_le_bytes(), &y.to_le_bytes(), &n.to_le_bytes()];
    let mut geometry = Geometry {
        shared_bytes: 256,
        ..Geometry::line(2, 64)
    };
    launch(&mut machine, PTX, "reversed", geometry, &arguments).unwrap();
    let found = halves(machine.read(y, 4 * n as usize).unwrap());
    assert_eq!((found[0], found[63], found[64], found[99]), (63, 0, 0, 92));
    geometry.shared_bytes = 252;
    let fault = launch(&mut machine, PTX, "reversed", geometry, &arguments).unwrap_err();
    assert_eq!(fault.kind, FaultKind::OutOfBounds, "{fault}");
}

#[test]
fn local_arrays_and_atomics() {
    let mut machine = machine();
    let x: Vec<u8> = (0..150_u32).flat_map(u32::to_le_bytes).collect();
    let x = upload(&mut machine, &x);
    let counts = upload(&mut machine, &[0; 40]);
    let arguments: [&[u8]; 3] = [
        &x.to_le_bytes(),
        &counts.to_le_bytes(),
        &150_u32.to_le_bytes(),
    ];
    launch(
        &mut machine,
        PTX,
        "digits",
        Geometry::line(3, 64),
        &arguments,
    )
    .unwrap();
    let mut wanted = [0; 10];
    for mut v in 0..150_usize {
        while v > 0 {
            wanted[v % 10] += 1;
            v /= 10;
        }
    }
    assert_eq!(halves(machine.read(counts, 40).unwrap()), wanted);
}
