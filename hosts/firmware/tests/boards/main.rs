//! The firmware on two boards that QEMU emulates: the numbers of the host, in the flash, the stack
//! and the instructions that `bounds.rs` records.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod board;
mod bounds;
mod image;

use board::{BOARDS, Program};
use detfree_core::Key;
use detfree_firmware::{Memory, RECORDING, ResidualMap, Sensor, Unmixer, rate};
use image::Image;

/// What the firmware reports that does not depend on the machine: names and bits.
fn on_the_host() -> Vec<(&'static str, u64)> {
    let (mut memory, mut sensor) = (Memory::new(), Sensor::new(Key::new(1)));
    let mut unmixer = Unmixer::new(&mut memory).unwrap();
    let mut shrinks = 0;
    for n in 0..RECORDING {
        let unmixed = unmixer.push(&sensor.read(), rate(n)).unwrap();
        shrinks += unmixed.shrinks.unwrap();
    }
    let estimate = ResidualMap::at(&sensor.read())
        .log_det(Key::new(2))
        .unwrap();
    let distance = Sensor::amari_distance(unmixer.weight());

    let number = |name, x: f64| (name, x.to_bits());
    let single = |name| move |&x: &f32| (name, f64::from(x).to_bits());
    let mut lines = vec![("samples", RECORDING.into())];
    lines.extend(unmixer.weight().iter().map(single("weight")));
    lines.extend(unmixer.bias().iter().map(single("bias")));
    lines.extend([
        number("log_det", unmixer.log_det()),
        number("amari_distance", distance.into()),
        ("shrinks", shrinks.into()),
        number("estimate", estimate.mean),
        number("standard_error", estimate.standard_error),
        ("products", estimate.products),
    ]);
    lines
}

#[test]
fn every_board_computes_the_bits_of_the_host() {
    let expected = on_the_host();
    for board in BOARDS {
        let run = board.run();
        let computed: Vec<_> = run
            .lines
            .iter()
            .filter(|(name, _)| !name.ends_with("ticks") && !name.ends_with("stack"))
            .map(|(name, bits)| (name.as_str(), *bits))
            .collect();
        assert_eq!(computed, expected, "{}", board.name);
    }
}

/// The module does not link where a panic can be reached; the program's table of symbols shows what
/// it holds.
#[test]
fn no_panic_no_allocator_no_formatting() {
    for board in BOARDS {
        for program in [Program::Module, Program::Firmware] {
            let image = Image::read(&board.build(program, false).unwrap());
            assert!(
                image.has_symbol("philox"),
                "{program:?}: no names to look at"
            );
            let found = image.offences();
            assert!(found.is_empty(), "{}, {program:?}: {found:#?}", board.name);
        }
    }
}

/// The negative control: an index out of bounds must be seen by both means.
#[test]
fn a_panic_is_found() {
    for board in BOARDS {
        let errors = board.build(Program::Module, true).unwrap_err();
        assert!(errors.contains("detfree_panic_path_reached"), "{errors}");
        let image = Image::read(&board.build(Program::Firmware, true).unwrap());
        let found = image.offences();
        assert!(
            found.iter().any(|name| name.contains("panicking")),
            "{found:#?}"
        );
    }
}

#[test]
fn flash_stack_and_instructions_stay_below_their_bounds() {
    let mut errors = Vec::new();
    println!("\n{}", bounds::HEADING);
    for board in BOARDS {
        let module = Image::read(&board.build(Program::Module, false).unwrap());
        let firmware = Image::read(&board.build(Program::Firmware, false).unwrap());
        let measured = bounds::Row::new(board.name, &module, &firmware, &board.run());
        println!("{}", measured.line());
        errors.extend(measured.check());
    }
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_readme_says_what_was_recorded() {
    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(bounds::HEADING),
        "README.md must have the line\n{}",
        bounds::HEADING
    );
    for row in bounds::RECORDED {
        let line = row.line();
        assert!(
            readme.contains(&line),
            "README.md must have the line\n{line}"
        );
    }
}

/// The guide shows the code that runs.
#[test]
fn the_guide_shows_this_code() {
    let guide = include_str!("../../../../docs/embedding.md");
    let sources = [
        include_str!("../../src/unmix.rs"),
        include_str!("../../src/residual.rs"),
    ];
    let section = guide
        .split("\n## ")
        .find(|s| s.starts_with("In firmware"))
        .unwrap();
    let blocks: Vec<_> = section.split("```rust\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let (code, _) = block.split_once("\n```").unwrap();
        let indented: String = code
            .lines()
            .map(|line| match line {
                "" => "\n".into(),
                line => format!("    {line}\n"),
            })
            .collect();
        assert!(
            sources.iter().any(|source| source.contains(&indented)),
            "not in the sources:\n{code}"
        );
    }
}
