//! Accesses that nothing orders.

use detfree_ptx_interpreter::{FaultKind, Geometry};

use crate::harness::found;

fn line(blocks: u32, threads: u32) -> Geometry {
    Geometry::line(blocks, threads)
}

/// Each thread writes its word of shared memory and reads that of its neighbour.
const EXCHANGE: &str = ".shared .align 4 .b8 s[1024];\nmul.lo.u32 %r, %t, 4;\nst.shared.u32 [%r], %t;\nBARRIER\n\
                        add.u32 %s, %t, 1;\nrem.u32 %s, %s, %n;\nmul.lo.u32 %s, %s, 4;\n\
                        mov.u64 %at, s;\nld.shared.u32 %s, [%s];\n";

#[test]
fn a_missing_barrier_between_write_and_read() {
    let broken = EXCHANGE.replace("BARRIER", "");
    let repaired = EXCHANGE.replace("BARRIER", "bar.sync 0;");
    found(
        FaultKind::Race,
        "ld.shared",
        &broken,
        &repaired,
        line(1, 64),
    );
}

#[test]
fn a_missing_barrier_between_two_rounds() {
    let round = "st.shared.u32 [%r], %t;\nbar.sync 0;\nld.shared.u32 %b, [%s];\nBARRIER\n";
    let twice = format!(
        ".shared .align 4 .b8 s[1024];\nmov.u64 %at, s;\nmul.lo.u32 %r, %t, 4;\nadd.u32 %s, %t, 1;\nrem.u32 %s, %s, %n;\n\
         mul.lo.u32 %s, %s, 4;\n{round}{round}"
    );
    // Without the second barrier a thread overwrites what its neighbour has yet to read.
    found(
        FaultKind::Race,
        "st.shared",
        &twice.replace("BARRIER", ""),
        &twice.replace("BARRIER", "bar.sync 0;"),
        line(2, 64),
    );
}

#[test]
fn a_barrier_of_the_warp_orders_the_warp_alone() {
    let warp = EXCHANGE.replace("BARRIER", "bar.warp.sync -1;");
    let block = EXCHANGE.replace("BARRIER", "bar.sync 0;");
    found(
        FaultKind::Uninitialised,
        "ld.shared",
        &warp,
        &block,
        line(1, 64),
    );
    // Within one warp it is enough, and nothing at all is not.
    let fill = "st.shared.u32 [%r], 0;\nbar.sync 0;\nst.shared.u32 [%r], %t;";
    let filled = |with: &str| {
        EXCHANGE
            .replace("st.shared.u32 [%r], %t;", fill)
            .replace("BARRIER", with)
    };
    found(
        FaultKind::Race,
        "ld.shared",
        &filled(""),
        &filled("bar.warp.sync -1;"),
        line(1, 32),
    );
    found(
        FaultKind::Race,
        "st.shared",
        &filled("bar.warp.sync -1;"),
        &filled("bar.sync 0;"),
        line(1, 64),
    );
}

#[test]
fn two_threads_write_one_address() {
    found(
        FaultKind::Race,
        "st.shared",
        ".shared .align 4 .b8 s[4];\nst.shared.u32 [s], %t;",
        ".shared .align 4 .b8 s[4];\nsetp.eq.u32 %p, %t, 0;\n@%p st.shared.u32 [s], %t;",
        line(1, 2),
    );
    found(
        FaultKind::Race,
        "st.global",
        "shr.u32 %r, %t, 1;\nmul.wide.u32 %at, %r, 4;\nadd.u64 %at, %at, %out;\nst.global.u32 [%at], %t;",
        "mul.wide.u32 %at, %t, 4;\nadd.u64 %at, %at, %out;\nst.global.u32 [%at], %t;",
        line(1, 64),
    );
}

#[test]
fn two_blocks_write_one_address() {
    // A barrier orders nothing between blocks.
    found(
        FaultKind::Race,
        "st.global",
        "bar.sync 0;\nst.global.u32 [%out], %b;",
        "mul.wide.u32 %at, %b, 4;\nadd.u64 %at, %at, %out;\nst.global.u32 [%at], %b;",
        line(2, 1),
    );
}

#[test]
fn one_block_reads_what_another_writes() {
    let body = |offset: u32| {
        format!(
            "mul.wide.u32 %at, %b, 4;\nadd.u64 %at, %at, %out;\nst.global.u32 [%at], %b;\n\
             ld.global.u32 %r, [%out+{offset}];"
        )
    };
    found(
        FaultKind::Race,
        "ld.global",
        &body(0),
        &body(64),
        line(2, 1),
    );
    // The read comes first.
    let body = |offset: u32| {
        format!(
            "ld.global.u32 %r, [%out+4];\nmul.wide.u32 %at, %b, 4;\nadd.u64 %at, %at, %out;\n\
             bar.sync 0;\nst.global.u32 [%at+{offset}], %b;"
        )
    };
    found(
        FaultKind::Race,
        "st.global",
        &body(0),
        &body(64),
        line(2, 1),
    );
    // Also when the block that writes has itself read, with a barrier between.
    let body = |offset: u32| {
        format!(
            "ld.global.u32 %r, [%out];\nbar.sync 0;\nsetp.eq.u32 %p, %b, 1;\n@%p st.global.u32 [%out+{offset}], %b;"
        )
    };
    found(FaultKind::Race, "st.global", &body(0), &body(4), line(2, 1));
}

#[test]
fn a_barrier_orders_global_memory_within_a_block() {
    let body = |barrier: &str| {
        format!(
            "mul.wide.u32 %at, %t, 4;\nadd.u64 %at, %at, %out;\nst.global.u32 [%at], %t;\n{barrier}\n\
             setp.eq.u32 %p, %t, 0;\n@%p ld.global.u32 %r, [%out+200];"
        )
    };
    found(
        FaultKind::Race,
        "st.global",
        &body(""),
        &body("bar.sync 0;"),
        line(1, 64),
    );
}

#[test]
fn atomics_conflict_with_plain_accesses_only() {
    found(
        FaultKind::Race,
        "ld.global",
        "atom.global.add.u32 %r, [%out], 1;\nld.global.u32 %r, [%out];",
        "atom.global.add.u32 %r, [%out], 1;\natom.global.add.u32 %r, [%out], 0;",
        line(3, 40),
    );
    found(
        FaultKind::Race,
        "atom.shared",
        ".shared .align 4 .b8 s[4];\nsetp.eq.u32 %p, %t, 0;\n@%p st.shared.u32 [s], 0;\natom.shared.add.u32 %r, [s], 1;",
        ".shared .align 4 .b8 s[4];\nsetp.eq.u32 %p, %t, 0;\n@%p st.shared.u32 [s], 0;\nbar.sync 0;\n\
         atom.shared.add.u32 %r, [s], 1;\nbar.sync 0;\nld.shared.u32 %r, [s];",
        line(2, 33),
    );
}

#[test]
fn bytes_of_one_word_are_not_one_address() {
    found(
        FaultKind::Race,
        "st.global.u8",
        "shr.u32 %r, %t, 1;\ncvt.u64.u32 %at, %r;\nadd.u64 %at, %at, %out;\nst.global.u8 [%at], %t;",
        "cvt.u64.u32 %at, %t;\nadd.u64 %at, %at, %out;\nst.global.u8 [%at], %t;",
        line(1, 64),
    );
}

#[test]
fn launches_are_ordered() {
    // `found` runs one launch; here each of two writes what the other wrote.
    let text = crate::harness::module(
        ".param .u64 out",
        ".reg .b64 %out;\nld.param.u64 %out, [out];\nst.global.u32 [%out], 1;\nret;",
    );
    let mut machine = crate::harness::machine();
    let loaded = machine.load(&text).unwrap();
    let out = machine.allocate(4).unwrap();
    for _ in 0..2 {
        let arguments: [&[u8]; 1] = [&out.to_le_bytes()];
        machine
            .launch(loaded.function("k").unwrap(), line(1, 1), &arguments)
            .unwrap();
    }
}
