//! Events of streams.

use std::time::Instant;

use super::code::Code;
use super::{Driver, Failure, failure};

const DISABLE_TIMING: u32 = 2;

#[derive(Debug)]
pub(super) struct Event {
    timed: bool,
    recorded: Option<Instant>,
}

impl Driver {
    pub(crate) fn new_event(&mut self, current: usize, flags: u32) -> Result<usize, Failure> {
        let handle = self.fresh();
        let timed = flags & DISABLE_TIMING == 0;
        self.context(current)?.events.insert(
            handle,
            Event {
                timed,
                recorded: None,
            },
        );
        Ok(handle)
    }

    fn event(&mut self, current: usize, event: usize) -> Result<&mut Event, Failure> {
        match self.context(current)?.events.get_mut(&event) {
            Some(event) => Ok(event),
            None => failure(Code::InvalidHandle, "no such event"),
        }
    }

    pub(crate) fn know_event(&mut self, current: usize, event: usize) -> Result<(), Failure> {
        self.event(current, event).map(|_| ())
    }

    pub(crate) fn record(&mut self, current: usize, event: usize) -> Result<(), Failure> {
        self.event(current, event)?.recorded = Some(Instant::now());
        Ok(())
    }

    pub(crate) fn end_event(&mut self, current: usize, event: usize) -> Result<(), Failure> {
        match self.context(current)?.events.remove(&event) {
            Some(_) => Ok(()),
            None => failure(Code::InvalidHandle, "no such event"),
        }
    }

    /// Milliseconds from one event to the other.
    pub(crate) fn elapsed(
        &mut self,
        current: usize,
        start: usize,
        end: usize,
    ) -> Result<f32, Failure> {
        let mut times = [None; 2];
        for (time, event) in times.iter_mut().zip([start, end]) {
            let event = self.event(current, event)?;
            *time = event.recorded.filter(|_| event.timed);
        }
        let [Some(start), Some(end)] = times else {
            return failure(Code::InvalidHandle, "an event without a time");
        };
        let sign = if end >= start { 1.0 } else { -1.0 };
        let span = if end >= start {
            end - start
        } else {
            start - end
        };
        Ok(sign * span.as_secs_f32() * 1e3)
    }
}
