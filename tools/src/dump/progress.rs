//! A bar for work that takes long: on stderr, and only where that is a terminal.

use super::source::Source;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stdout};

/// Gone from the terminal when it is dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// Over all segments of `sources`, for work that shows nothing before its end.
    pub fn over<'s>(sources: impl IntoIterator<Item = &'s Source>) -> Self {
        let segments = sources.into_iter().flat_map(|source| &source.journals).flat_map(|j| &j.segments);
        let style = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(style).expect("a valid template");
        Self(ProgressBar::new(segments.map(|segment| segment.file_bytes).sum()).with_style(style))
    }

    /// The same for work that shows rows as it goes: no bar among them.
    pub fn beside_rows(source: &Source) -> Self {
        let progress = Self::over([source]);
        if stdout().is_terminal() {
            progress.0.set_draw_target(ProgressDrawTarget::hidden());
        }
        progress
    }

    /// For work that is too short, or only looks a second time.
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    pub fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
