//! Checkpoints of other runs, and files that are none.

use core::convert::Infallible;
use core::ops::ControlFlow::{Break, Continue};

use detfree_core::reference::Heap;
use detfree_core::{Activation, BaseDensity, Key, Shape, Side};
use detfree_flows::relative::{Optimiser, RelativeFlow, RelativeTrainer, RelativeTraining};
use detfree_flows::{
    CheckpointError, FitOptions, Progress, Schedule, Squash, Standardisation, Trainer, Training,
    TrainingRows,
};

use crate::{Host, OPTIONS, rows, trainer};

type Refused = CheckpointError<Infallible>;

/// A checkpoint of the run of [`OPTIONS`] in its second epoch.
fn saved() -> Vec<u8> {
    let b = Host::new();
    let (training, validation) = (rows(7), rows(8).values);
    let mut trainer = trainer(&b, Optimiser::Adam, Side::Plain);
    let mut run = Training::new(&mut trainer, &training, &validation, &OPTIONS);
    run.epoch(&b, || Continue(())).unwrap();
    assert_eq!(run.epoch(&b, || Break(())).unwrap(), Progress::Paused);
    run.checkpoint(&b).unwrap()
}

fn resume<T: Trainer<Host>>(
    trainer: &mut T,
    training: &TrainingRows<f64>,
    validation: &[f64],
    options: &FitOptions,
    saved: &[u8],
) -> Result<u32, Refused> {
    let b = Host::new();
    let run = Training::resume(&b, trainer, training, validation, options, saved)?;
    Ok(run.finish(&b).unwrap().epochs)
}

fn says(refused: Result<u32, Refused>, pieces: &[&str]) {
    let text = refused.unwrap_err().to_string();
    assert_eq!(text.lines().count(), 1);
    for piece in pieces {
        assert!(text.contains(piece), "no {piece:?} in {text}");
    }
}

/// Every setting that would make another run of it.
#[test]
fn other_runs_are_refused() {
    let b = Host::new();
    let saved = saved();
    let adam = || trainer(&b, Optimiser::Adam, Side::Plain);
    let (training, validation) = (rows(7), rows(8).values);
    let with = |options: FitOptions| resume(&mut adam(), &training, &validation, &options, &saved);
    assert_eq!(with(OPTIONS).unwrap(), 1);
    let key = Key::new(2);
    says(
        with(FitOptions { key, ..OPTIONS }),
        &["key is 1, here it is 2"],
    );
    let batch = 20;
    says(
        with(FitOptions { batch, ..OPTIONS }),
        &["batch is 16", "20"],
    );
    let patience = 5;
    says(
        with(FitOptions {
            patience,
            ..OPTIONS
        }),
        &["patience"],
    );
    let learning_rate = 0.1;
    let other = FitOptions {
        learning_rate,
        ..OPTIONS
    };
    says(with(other), &["learning rate is 0.02", "0.1"]);
    let schedule = Schedule::Constant;
    says(
        with(FitOptions {
            schedule,
            ..OPTIONS
        }),
        &["schedule"],
    );
    let schedule = Schedule::Cosine;
    says(
        with(FitOptions {
            schedule,
            ..OPTIONS
        }),
        &["schedule"],
    );
    let epochs = 0;
    says(
        with(FitOptions { epochs, ..OPTIONS }),
        &["1 so far", "at most 0"],
    );

    // One number of the training or validation rows, the noise, the logit; a row too many.
    let on = |change: &dyn Fn(&mut TrainingRows<f64>, &mut Vec<f64>)| {
        let (mut training, mut validation) = (training.clone(), validation.clone());
        change(&mut training, &mut validation);
        resume(&mut adam(), &training, &validation, &OPTIONS, &saved)
    };
    says(
        on(&|t, _| t.values[50] = -t.values[50]),
        &["checksum of training data"],
    );
    says(on(&|t, _| t.values.swap(0, 2)), &["training data"]);
    says(
        on(&|t, _| t.values.extend([0.0, 0.0])),
        &["100 rows", "101"],
    );
    says(on(&|t, _| t.noise[1] = 0.1), &["noise"]);
    says(on(&|_, v| v[0] = 0.0), &["validation data"]);
    let standardisation = Standardisation {
        mean: vec![0.0; 2],
        scale: vec![1.0; 2],
    };
    let squash = Squash {
        lambda: 0.1,
        levels: 4.0,
    };
    let squash = Some((squash, standardisation));
    says(on(&|t, _| t.squash.clone_from(&squash)), &["logit is none"]);

    // The trainer's.
    let into = |optimiser, side| {
        let trainer = &mut trainer(&b, optimiser, side);
        resume(trainer, &training, &validation, &OPTIONS, &saved)
    };
    says(
        into(Optimiser::Sgd, Side::Plain),
        &["optimiser is adam, here it is sgd"],
    );
    says(
        into(Optimiser::Adam, Side::Transposed),
        &["gradient is plain, here it is transposed"],
    );
    // All that differ, each named.
    says(
        into(Optimiser::Momentum { decay: 0.5 }, Side::Transposed),
        &["another run: its optimiser is adam, here it is momentum:0.5; its gradient is plain"],
    );
    let flow = |depth, sigma| {
        RelativeFlow::random(&b, 2, depth, sigma, BaseDensity::Normal, Key::new(2)).unwrap()
    };
    let shape = Shape::new(OPTIONS.batch, 2);
    let sigma = |alpha| Activation::LeakySoftplus { alpha };
    for (flow, clip, piece) in [
        (flow(4, sigma(0.3)), None, "weights"),
        (flow(3, sigma(0.4)), None, "0.4"),
        (
            flow(3, sigma(0.3)),
            Some(1.5),
            "clip is none, here it is 1.5",
        ),
    ] {
        let clipped = RelativeTraining {
            clip,
            ..RelativeTraining::default()
        };
        let mut trainer = RelativeTrainer::new(&b, flow, shape, clipped).unwrap();
        says(
            resume(&mut trainer, &training, &validation, &OPTIONS, &saved),
            &["another run", piece],
        );
    }
    // The type of numbers.
    let b = Heap::<f32>::new();
    let (training, validation) = (rows(7), rows(8).values);
    let mut trainer = trainer(&b, Optimiser::Adam, Side::Plain);
    let refused = Training::resume(&b, &mut trainer, &training, &validation, &OPTIONS, &saved);
    assert!(
        matches!(refused, Err(CheckpointError::OtherRun(of)) if of[0].setting == "number type")
    );
}

#[test]
fn files_that_are_no_checkpoints_are_refused() {
    let b = Host::new();
    let (training, validation) = (rows(7), rows(8).values);
    let from = |bytes: &[u8]| {
        let trainer = &mut trainer(&b, Optimiser::Adam, Side::Plain);
        resume(trainer, &training, &validation, &OPTIONS, bytes)
    };
    let saved = saved();
    for length in 0..saved.len() {
        let refused = from(&saved[..length]).unwrap_err();
        assert!(matches!(refused, Refused::NotSafetensors(_)), "{length}");
    }
    let edited = |from: &str, to: &str| {
        let length = u64::from_le_bytes(saved[..8].try_into().unwrap()) as usize;
        let (header, body) = saved[8..].split_at(length);
        let header = std::str::from_utf8(header).unwrap();
        assert!(header.contains(from), "{header}");
        let header = header.replace(from, to);
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), body].concat()
    };
    assert_eq!(
        from(&edited("detfree-check", "detfree-other")),
        Err(Refused::Foreign)
    );
    let newer = edited("\\\"version\\\":1", "\\\"version\\\":2");
    assert_eq!(from(&newer), Err(Refused::Version(2)));
    for (one, other) in [
        ("\\\"batches\\\":24", "\\\"batches\\\":25"),
        ("\\\"batches\\\":", "\\\"botches\\\":"),
        ("\"U64\"", "\"I64\""),
        ("batch.7", "batch.z"),
    ] {
        let refused = from(&edited(one, other)).unwrap_err();
        assert!(matches!(refused, Refused::Corrupt(_)), "{one}: {refused}");
    }
    // Any number that is another one, wherever it is.
    let body = 8 + u64::from_le_bytes(saved[..8].try_into().unwrap()) as usize;
    for at in (body..saved.len()).step_by(7) {
        let mut bytes = saved.clone();
        bytes[at] ^= 1;
        assert!(matches!(from(&bytes), Err(Refused::Corrupt(_))), "{at}");
    }
    // The counts come first among the tensors: shrinks, epochs, the best one, shuffles, rows used.
    for (count, value) in [
        (1, 0_u64),
        (2, 2),
        (3, 0),
        (3, 3),
        (4, 15),
        (4, 10_000),
        (4, u64::MAX),
    ] {
        let length = u64::from_le_bytes(saved[..8].try_into().unwrap()) as usize;
        let mut bytes = saved.clone();
        let at = 8 + length + counts_offset(&saved[8..8 + length]) + 8 * count;
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let refused = from(&bytes).unwrap_err();
        assert!(
            matches!(refused, Refused::Corrupt(_)),
            "{count} {value}: {refused}"
        );
    }
}

fn counts_offset(header: &[u8]) -> usize {
    let header: serde_json::Value = serde_json::from_slice(header).unwrap();
    header["counts"]["data_offsets"][0].as_u64().unwrap() as usize
}

/// A run whose gradients are summed over shards, and one whose are not.
#[test]
fn another_number_of_shards_is_refused() {
    let b = Host::new();
    let dim = 80;
    let numbers = (0..12 * dim).map(|i| Key::new(3).normal(i as u64, 0));
    let training = TrainingRows {
        values: numbers.collect(),
        noise: vec![0.0; dim],
        squash: None,
    };
    let options = FitOptions {
        epochs: 2,
        batch: 4,
        ..OPTIONS
    };
    let trainer = |workers| {
        let sigma = Activation::LeakySoftplus { alpha: 0.3 };
        let flow = RelativeFlow::random(&b, dim, 1, sigma, BaseDensity::Normal, Key::new(2));
        let training = RelativeTraining {
            workers,
            ..RelativeTraining::default()
        };
        RelativeTrainer::new(&b, flow.unwrap(), Shape::new(4, dim), training).unwrap()
    };
    let mut one = trainer(1);
    let mut run = Training::new(&mut one, &training, &training.values, &options);
    assert_eq!(run.epoch(&b, || Break(())).unwrap(), Progress::Paused);
    let saved = run.checkpoint(&b).unwrap();
    let into = |workers| {
        let trainer = &mut trainer(workers);
        resume(trainer, &training, &training.values, &options, &saved)
    };
    into(1).unwrap();
    says(into(2), &["number of shards is 1, here it is 2"]);
}
