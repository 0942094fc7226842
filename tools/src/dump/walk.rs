//! Runs over the entries of everything that was pointed at, in order.

use super::progress::Progress;
use super::scan::{Entry, Scanner, Step};
use super::source::{Journal, Segment, Source};
use super::trouble::{Trouble, complain};
use std::ops::ControlFlow;

/// Calls `visit` for each good entry; `whole` reads bodies too. What is bad is passed over with a
/// line on stderr. `Break` ends the run.
pub fn entries(
    source: &Source,
    whole: bool,
    progress: &Progress,
    mut visit: impl FnMut(&Journal, &Segment, &Entry<'_>) -> Result<ControlFlow<()>, Trouble>,
) -> Result<(), Trouble> {
    for journal in &source.journals {
        for segment in &journal.segments {
            let mut done = 0;
            let flow = segment_entries(source, journal, segment, whole, &mut |journal, segment, entry| {
                let end = entry.position + entry.header().entry_bytes() as u64;
                progress.advance(end - done);
                done = end;
                visit(journal, segment, entry)
            })?;
            if flow.is_break() {
                return Ok(());
            }
            progress.advance(segment.file_bytes.saturating_sub(done));
        }
    }
    Ok(())
}

/// The same for one segment.
pub fn segment_entries(
    source: &Source,
    journal: &Journal,
    segment: &Segment,
    whole: bool,
    visit: &mut impl FnMut(&Journal, &Segment, &Entry<'_>) -> Result<ControlFlow<()>, Trouble>,
) -> Result<ControlFlow<()>, Trouble> {
    let Some(bytes) = segment.open()? else { return Ok(ControlFlow::Continue(())) };
    let file = segment.path.display();
    let mut scanner = Scanner::new(&bytes, journal.identity, segment.base, whole);
    while let Some(step) = scanner.step() {
        match step {
            Step::Entry(entry) => {
                if visit(journal, segment, &entry)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Step::Gap { from, to, fault } => {
                complain(format_args!("{file}: bytes {from} to {to} are no entry: {fault}"));
            }
            Step::Tail { from, to, fault } if !source.is_live => {
                complain(format_args!("{file}: bytes {from} to {to}, the last, are no entry: {fault}"));
            }
            Step::Tail { .. } => {}
            Step::Unreadable(text) => return Err(Trouble::unreadable(&segment.path, text)),
        }
    }
    Ok(ControlFlow::Continue(()))
}
