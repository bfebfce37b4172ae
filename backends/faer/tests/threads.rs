//! Threads: shards in parallel on sequential arithmetic, and results that do not depend on timing.

use std::sync::mpsc::channel;
use std::time::Duration;

use detfree_core::{Allocate, Backend, DenseBackend, Fill, Key, Op, Shape, Store};
use detfree_faer::{Faer, ThreadsError};

fn gaussian(b: &Faer<f32>, rows: usize, dim: usize, seed: u64) -> <Faer<f32> as Backend>::Batch {
    let mut x = b.batch(Shape::new(rows, dim)).unwrap();
    let fill = Fill::Gaussian {
        key: Key::new(seed),
        first_row: 0,
        scale: 1.0,
    };
    b.fill(fill, &mut x).unwrap();
    x
}

/// A product cut along its rows, one cut along its outputs, and an outer product.
fn products(b: &Faer<f32>) -> Vec<u32> {
    let mut bits = Vec::new();
    for (rows, inputs, outputs) in [(900, 64, 50), (70, 300, 500)] {
        let w = gaussian(b, outputs, inputs, 1);
        let x = gaussian(b, rows, inputs, 2);
        let mut y = b.batch(Shape::new(rows, outputs)).unwrap();
        let mut g = b.batch(Shape::new(outputs, inputs)).unwrap();
        b.apply(0..rows, &w, Op::Plain, &x, Store::Set, &mut y)
            .unwrap();
        b.outer(0..rows, 0.5, &y, &x, Store::Set, &mut g).unwrap();
        bits.extend(y.as_slice().iter().chain(g.as_slice()).map(|x| x.to_bits()));
    }
    bits
}

#[test]
fn products_are_the_same_bits_from_run_to_run() {
    for threads in [1, 2, 3] {
        let first = products(&Faer::new(threads).unwrap());
        for _ in 0..3 {
            assert!(
                first == products(&Faer::new(threads).unwrap()),
                "{threads} threads"
            );
        }
    }
}

/// The same products, one after the other on a thread of the pool: of more threads than there are cores, too, which
/// wait in the middle of one another's work.
#[test]
fn products_together_are_the_same_bits() {
    for threads in [1, 2, 3, 16] {
        let b = Faer::new(threads).unwrap();
        for work in [0, usize::MAX] {
            assert!(
                products(&b) == b.together(work, products),
                "{threads} threads, {work}"
            );
        }
    }
}

#[test]
fn every_shard_runs_once_on_sequential_arithmetic() {
    for threads in [1, 2, 3] {
        let b = Faer::<f64>::new(threads).unwrap();
        assert_eq!(b.threads(), threads);
        for count in [0, 1, 7] {
            let mut shards: Vec<(usize, usize)> = (0..count).map(|index| (index, 0)).collect();
            b.each_shard(&mut shards, |sequential, (index, result)| {
                assert_eq!(sequential.threads(), 1);
                *result += 10 + *index;
                Ok(())
            })
            .unwrap();
            assert!(shards.iter().all(|&(index, result)| result == 10 + index));
        }
    }
}

/// Two shards that each wait for word of the other end only where they run at the same time.
#[test]
fn shards_run_in_parallel() {
    let (to_second, from_first) = channel();
    let (to_first, from_second) = channel();
    let mut shards = [
        (to_second, from_second, false),
        (to_first, from_first, false),
    ];
    let b = Faer::<f32>::new(2).unwrap();
    b.each_shard(&mut shards, |_, (to, from, met)| {
        to.send(()).unwrap();
        *met = from.recv_timeout(Duration::from_secs(60)).is_ok();
        Ok(())
    })
    .unwrap();
    assert!(shards.iter().all(|(_, _, met)| *met));
}

#[test]
fn a_backend_needs_a_thread() {
    let error = Faer::<f32>::new(0).unwrap_err();
    assert_eq!(error, ThreadsError::None);
    assert!(error.to_string().contains("ask for 1"));
}
