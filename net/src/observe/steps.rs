//! How long the engine's steps took, by what the input was: while one runs, all else on its shard waits.

use engine::latency::Latency;
use engine::port::INPUT_NAMES;

/// By input, as [`INPUT_NAMES`] has them.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    of: [StepTimes; INPUT_NAMES.len()],
}

/// Steps of one input.
#[derive(Clone, Debug, Default)]
pub struct StepTimes {
    pub times: Latency,
    /// Since the process began.
    pub longest_ns: u64,
}

impl Steps {
    pub fn record(&mut self, input: usize, duration_ns: u64) {
        let step = &mut self.of[input];
        step.times.record(duration_ns);
        step.longest_ns = step.longest_ns.max(duration_ns);
    }

    /// Those that there were, with their names.
    pub fn by_name(&self) -> impl Iterator<Item = (&'static str, &StepTimes)> {
        INPUT_NAMES.into_iter().zip(&self.of).filter(|(_, step)| step.times.count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::port::Input;

    #[test]
    fn the_longest_of_each_input_is_kept() {
        let mut steps = Steps::default();
        steps.record(Input::Tick.number(), 7_000);
        steps.record(Input::Tick.number(), 3_000);
        steps.record(Input::TurnEnd.number(), 9_000);
        let told: Vec<_> =
            steps.by_name().map(|(name, step)| (name, step.times.count, step.longest_ns)).collect();
        assert_eq!(told, [("tick", 2, 7_000), ("turn_end", 1, 9_000)]);
    }
}
