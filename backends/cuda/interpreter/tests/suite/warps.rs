//! Divergence, and what lanes exchange.

use detfree_ptx_interpreter::{FaultKind, Geometry};

use crate::harness::{evaluate, found, module, run};

fn line(threads: u32) -> Geometry {
    Geometry::line(1, threads)
}

/// A kernel that stores `%r` of each thread.
fn stored(body: &str) -> String {
    let start = ".reg .b64 %out, %o;\n.reg .b32 %t, %r, %s, %m;\n.reg .pred %p, %q;\n\
                 ld.param.u64 %out, [out];\nmov.u32 %t, %tid.x;\n";
    let end = "mul.wide.u32 %o, %t, 4;\nadd.u64 %out, %out, %o;\nst.global.u32 [%out], %r;\nret;";
    module(".param .u64 out", &format!("{start}{body}\n{end}"))
}

#[test]
fn lanes_part_and_meet() {
    // Collatz lengths: every lane loops another number of times.
    let body = "add.u32 %s, %t, 1;\nmov.u32 %r, 0;\nTOP: setp.eq.u32 %p, %s, 1;\n@%p bra DONE;\n\
                add.u32 %r, %r, 1;\nand.b32 %m, %s, 1;\nsetp.eq.u32 %q, %m, 0;\n@%q bra EVEN;\n\
                mad.lo.u32 %s, %s, 3, 1;\nbra.uni TOP;\nEVEN: shr.u32 %s, %s, 1;\nbra.uni TOP;\nDONE:";
    let words = run(&stored(body), line(100), 100).unwrap();
    for (t, &word) in words.iter().enumerate() {
        let (mut x, mut length) = (t + 1, 0);
        while x != 1 {
            x = if x % 2 == 0 { x / 2 } else { 3 * x + 1 };
            length += 1;
        }
        assert_eq!(word, length);
    }
}

#[test]
fn lanes_meet_again_after_a_branch() {
    let body = "setp.lt.u32 %p, %t, 10;\nmov.u32 %r, 0;\n@%p bra A;\nadd.u32 %r, %r, 1;\nbra B;\n\
                A: add.u32 %r, %r, 2;\nB: activemask.b32 %r;";
    assert_eq!(run(&stored(body), line(20), 20).unwrap(), [0xf_ffff; 20]);
}

#[test]
fn branches_by_index() {
    let body = "rem.u32 %s, %t, 3;\nts: .branchtargets A, B, C;\nbrx.idx %s, ts;\n\
                A: mov.u32 %r, 10;\nbra D;\nB: mov.u32 %r, 20;\nbra D;\nC: mov.u32 %r, 30;\nD:";
    assert_eq!(
        run(&stored(body), line(7), 7).unwrap(),
        [10, 20, 30, 10, 20, 30, 10]
    );
}

#[test]
fn shuffles() {
    let lane = |t: usize| t as u32;
    type Source = fn(u32) -> Option<u32>;
    let cases: [(&str, Source); 8] = [
        ("down.b32 %r|%p, %s, 4, 31", |t| {
            (t + 4 < 32).then_some(t + 4)
        }),
        ("up.b32 %r|%p, %s, 1, 0", |t| t.checked_sub(1)),
        ("bfly.b32 %r|%p, %s, 5, 31", |t| Some(t ^ 5)),
        ("idx.b32 %r|%p, %s, 3, 31", |_| Some(3)),
        // Segments of eight: the mask of lanes is in the high byte.
        ("down.b32 %r|%p, %s, 3, 0x1807", |t| {
            (t % 8 + 3 < 8).then_some(t + 3)
        }),
        ("up.b32 %r|%p, %s, 2, 0x1800", |t| {
            (t % 8 >= 2).then(|| t - 2)
        }),
        ("idx.b32 %r|%p, %s, 6, 0x1807", |t| Some(t / 8 * 8 + 6)),
        // Clamped to lane 9: beyond, lanes keep their own.
        ("bfly.b32 %r|%p, %s, 8, 9", |t| {
            ((t ^ 8) <= 9).then_some(t ^ 8)
        }),
    ];
    for (instruction, source) in cases {
        let body = format!(
            "mul.lo.u32 %s, %t, 7;\nshfl.sync.{instruction}, -1;\nselp.u32 %s, 1000, 0, %p;\nadd.u32 %r, %r, %s;"
        );
        let words = run(&stored(&body), line(32), 32).unwrap();
        for (t, word) in words.into_iter().enumerate() {
            let t = lane(t);
            let wanted = source(t).map_or(t * 7, |from| from * 7 + 1000);
            assert_eq!(word, wanted, "{instruction}, lane {t}");
        }
    }
}

#[test]
fn votes_and_masks() {
    let body = "setp.lt.u32 %p, %t, 5;\nvote.sync.ballot.b32 %r, %p, -1;\n\
                vote.sync.any.pred %q, %p, -1;\nselp.u32 %s, 256, 0, %q;\nor.b32 %r, %r, %s;\n\
                vote.sync.all.pred %q, !%p, -1;\nselp.u32 %s, 512, 0, %q;\nor.b32 %r, %r, %s;\n\
                vote.sync.uni.pred %q, %p, -1;\nselp.u32 %s, 1024, 0, %q;\nor.b32 %r, %r, %s;";
    let words = run(&stored(body), line(64), 64).unwrap();
    assert_eq!(words[..32], [31 | 256; 32]);
    assert_eq!(words[32..], [512 | 1024; 32]);
    // Halves of a warp vote among themselves.
    let halves = "setp.lt.u32 %q, %t, 16;\nselp.b32 %m, 0xffff, 0xffff0000, %q;\n\
                  setp.lt.u32 %p, %t, 20;\nvote.sync.ballot.b32 %r, %p, %m;";
    let words = run(&stored(halves), line(32), 32).unwrap();
    assert_eq!((words[0], words[31]), (0xffff, 0xf_0000));
}

#[test]
fn exited_lanes_are_not_waited_for() {
    let body =
        "setp.ge.u32 %p, %t, 24;\n@%p exit;\nmov.u32 %s, %t;\nshfl.sync.idx.b32 %r, %s, 3, 31, -1;";
    let words = run(&stored(body), line(32), 32).unwrap();
    assert_eq!(words[..24], [3; 24]);
    assert_eq!(words[24..], [0; 8]);
}

#[test]
fn lanes_wait_for_those_that_the_mask_names() {
    // Both sides of a branch run before the shuffle that follows it, in whatever order.
    let body = "setp.lt.u32 %p, %t, 7;\nmov.u32 %s, 5;\n@%p bra A;\nmov.u32 %s, 6;\nA:\n\
                shfl.sync.bfly.b32 %r, %s, 31, 31, -1;";
    let words = run(&stored(body), line(32), 32).unwrap();
    assert_eq!((words[0], words[31], words[12]), (6, 5, 6));
}

#[test]
fn masks_that_do_not_fit_the_lanes() {
    let shuffle = |mask: &str| format!("shfl.sync.down.b32 %r, %t, 1, 31, {mask};");
    found(
        FaultKind::WarpMask,
        "shfl",
        &shuffle("0x0000ffff"),
        &shuffle("-1"),
        line(32),
    );
    // The mask names lanes that never come.
    let part = |mask: &str| {
        format!(
            "setp.lt.u32 %p, %t, 16;\n@!%p bra L;\nvote.sync.ballot.b32 %r, %p, {mask};\nbar.warp.sync {mask};\nL: mov.u32 %s, 1;\nbar.sync 0;"
        )
    };
    found(
        FaultKind::WarpMask,
        "vote",
        &part("-1"),
        &part("0xffff"),
        line(32),
    );
    // A lane that has exited is read.
    let gone = |lane: u32| {
        format!("setp.ge.u32 %p, %t, 8;\n@%p exit;\nshfl.sync.idx.b32 %r, %t, {lane}, 31, -1;")
    };
    found(FaultKind::WarpMask, "shfl", &gone(9), &gone(7), line(32));
    // Lanes that name each other differ in their masks.
    let differ = |mask: &str| {
        format!(
            "setp.lt.u32 %p, %t, 4;\nselp.b32 %r, {mask}, -1, %p;\nshfl.sync.bfly.b32 %s, %t, 1, 31, %r;"
        )
    };
    found(
        FaultKind::WarpMask,
        "shfl",
        &differ("0xff"),
        &differ("-1"),
        line(32),
    );
}

#[test]
fn values_of_lanes_do_not_mix() {
    // 96 rows in three warps, one lane short of the fourth's beginning.
    let rows: Vec<_> = (0..95).map(|x| [x]).collect();
    let found = evaluate(["b32"], "b32", "mul.lo.u32 %d, %a, %a;", &rows);
    assert!(
        found
            .iter()
            .enumerate()
            .all(|(x, &square)| square == (x * x) as u64)
    );
}
