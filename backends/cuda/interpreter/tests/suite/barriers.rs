//! Barriers that all threads reach, and barriers that not all reach.

use detfree_ptx_interpreter::{FaultKind, Geometry};

use crate::harness::{found, module, run};

fn line(threads: u32) -> Geometry {
    Geometry::line(1, threads)
}

#[test]
fn a_barrier_in_a_branch_of_some_lanes() {
    let guarded = "setp.lt.u32 %p, %t, 16;\n@%p bra IN;\nbra OUT;\nIN:\nbar.sync 0;\nOUT: mov.u32 %r, 1;\nbar.sync 0;";
    let outside = "setp.lt.u32 %p, %t, 16;\n@%p bra IN;\nbra OUT;\nIN:\nmov.u32 %r, 2;\nOUT: mov.u32 %r, 1;\nbar.sync 0;";
    found(
        FaultKind::DivergentBarrier,
        "bar.sync",
        guarded,
        outside,
        line(32),
    );
    found(
        FaultKind::DivergentBarrier,
        "bar.sync",
        "setp.lt.u32 %p, %t, 16;\n@%p bar.sync 0;\nbar.sync 0;",
        "setp.lt.u32 %p, %t, 32;\n@%p bar.sync 0;\nbar.sync 0;",
        line(32),
    );
}

#[test]
fn a_barrier_in_a_branch_of_some_warps() {
    let body = |limit: u32| {
        format!(
            "setp.lt.u32 %p, %t, {limit};\n@!%p bra OUT;\nbar.sync 0;\nOUT: mov.u32 %r, 1;\nbar.sync 0;"
        )
    };
    found(
        FaultKind::DivergentBarrier,
        "bar.sync",
        &body(32),
        &body(64),
        line(64),
    );
}

#[test]
fn threads_that_have_exited_are_not_waited_for() {
    // As on devices of compute capability 7 and above.
    let body = ".reg .b64 %out;\n.reg .b32 %t;\n.reg .pred %p;\nld.param.u64 %out, [out];\n\
                mov.u32 %t, %tid.x;\nsetp.ge.u32 %p, %t, 40;\n@%p exit;\nbar.sync 0;\n\
                setp.eq.u32 %p, %t, 0;\n@%p st.global.u32 [%out], 1;\nret;";
    assert_eq!(
        run(&module(".param .u64 out", body), line(100), 1).unwrap(),
        [1]
    );
}

#[test]
fn reductions_of_barriers() {
    let body = ".reg .b64 %out, %o;\n.reg .b32 %t, %r, %s;\n.reg .pred %p, %q;\nld.param.u64 %out, [out];\n\
                mov.u32 %t, %tid.x;\nsetp.lt.u32 %p, %t, 37;\nbar.red.popc.u32 %r, 0, %p;\n\
                bar.red.and.pred %q, 0, !%p;\nselp.u32 %s, 1000, 0, %q;\nadd.u32 %r, %r, %s;\n\
                bar.red.or.pred %q, 0, %p;\nselp.u32 %s, 2000, 0, %q;\nadd.u32 %r, %r, %s;\n\
                mul.wide.u32 %o, %t, 4;\nadd.u64 %out, %out, %o;\nst.global.u32 [%out], %r;\nret;";
    assert_eq!(
        run(&module(".param .u64 out", body), line(50), 50).unwrap(),
        [2037; 50]
    );
}
