//! The last so many steps of time, each with the mean of what was measured in it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sterna_base::Timestamp;

use super::{Measured, Metric, Sample, Series, Span};

/// One step.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Step {
    /// Its number since the epoch.
    number: i64,
    /// By the number of the metric: the sum of what was measured, and how often.
    sums: Vec<(f64, u32)>,
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ring {
    steps: VecDeque<Step>,
}

impl Ring {
    pub fn new(span: Span) -> Self {
        Ring { steps: VecDeque::with_capacity(span.values()) }
    }

    /// Whether it is one that this program could have written.
    pub fn is_sound(&self, span: Span) -> bool {
        self.steps.len() <= span.values()
            && self.steps.iter().all(|step| step.sums.len() == Metric::ALL.len())
            && self.steps.iter().zip(self.steps.iter().skip(1)).all(|(one, next)| one.number < next.number)
    }

    /// A clock that was set back takes away what is later.
    pub fn note(&mut self, span: Span, at: Timestamp, sample: &Sample) {
        let number = span.step_of(at);
        while self.steps.back().is_some_and(|last| last.number > number) {
            self.steps.pop_back();
        }
        if self.steps.back().is_none_or(|last| last.number < number) {
            if self.steps.len() == span.values() {
                self.steps.pop_front();
            }
            self.steps.push_back(Step { number, sums: vec![(0.0, 0); Metric::ALL.len()] });
        }
        let Some(step) = self.steps.back_mut() else { return };
        for ((sum, count), value) in step.sums.iter_mut().zip(sample) {
            if let Some(value) = value {
                *sum += value;
                *count += 1;
            }
        }
    }

    pub fn measured(&self, span: Span, now: Timestamp) -> Measured {
        let most = i64::try_from(span.values()).unwrap_or(i64::MAX);
        let first = span.step_of(now) - most + 1;
        let of = |place: usize, metric: Metric| {
            let mut values = vec![None; span.values()];
            for step in &self.steps {
                let at = usize::try_from(step.number - first).ok().filter(|at| *at < values.len());
                if let (Some(at), (sum, count @ 1..)) = (at, step.sums[place]) {
                    values[at] = Some((sum / f64::from(count) * 100.0).round() / 100.0);
                }
            }
            Series { metric, values }
        };
        let series = Metric::ALL.into_iter().enumerate().map(|(place, metric)| of(place, metric));
        Measured { first, series: series.filter(|series| series.values.iter().any(Option::is_some)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(queue: f64) -> Sample {
        let mut sample = [None; Metric::ALL.len()];
        sample[0] = Some(queue);
        sample
    }

    fn at(step: i64, seconds: i64) -> Timestamp {
        Timestamp::from_seconds(step * Span::Day.step_seconds() + seconds)
    }

    #[test]
    fn a_step_is_the_mean_of_what_was_measured_in_it_and_gaps_stay_gaps() {
        let mut ring = Ring::new(Span::Day);
        for (step, value) in [(1000, 1.0), (1000, 4.0), (1002, 7.0)] {
            ring.note(Span::Day, at(step, 10), &sample(value));
        }
        let told = ring.measured(Span::Day, at(1002, 20));
        assert_eq!(told.series.len(), 1, "nothing is told of what is not measured");
        assert_eq!(told.first, 1002 - 287);
        assert_eq!(told.series[0].values[285..], [Some(2.5), None, Some(7.0)]);
        // What is too old is not told, and what was measured later than now neither.
        assert!(ring.measured(Span::Day, at(1002 + 288, 0)).series.is_empty());
        assert_eq!(ring.measured(Span::Day, at(1001, 0)).series[0].values[287], None);
    }

    #[test]
    fn it_never_holds_more_than_its_span_and_a_clock_may_be_set_back() {
        let mut ring = Ring::new(Span::Day);
        for step in 0..1000 {
            ring.note(Span::Day, at(step, 0), &sample(1.0));
        }
        assert_eq!(ring.steps.len(), 288);
        ring.note(Span::Day, at(900, 0), &sample(3.0));
        assert_eq!(ring.steps.back().unwrap().number, 900);
        assert!(ring.is_sound(Span::Day));
    }
}
