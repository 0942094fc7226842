//! `verify`: every segment by itself on several threads, then each journal's verdict.

use super::cli::VerifyArgs;
use super::expected;
use super::journal::{Journal, Segment};
use super::journal_folder::journal_folder;
use super::judge::{Judged, Totals, judge, node_copies};
use super::names::Names;
use super::out::Out;
use super::progress::Progress;
use super::records::DECOMPRESSED_BYTES_MAX;
use super::remark::Remark;
use super::runs;
use super::segment_check::{Depth, SegmentCheck, check};
use super::source::Source;
use super::trouble::{Trouble, exit};
use crate::row;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a folder is looked through.
#[derive(Clone, Copy)]
struct Look<'a> {
    depth: Depth<'a>,
    threads: usize,
}

/// `only` is the journal that is asked for.
pub fn verify(
    mut source: Source,
    args: &VerifyArgs,
    only: Option<u64>,
    out: &mut Out<'_>,
) -> Result<u8, Trouble> {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    // What is wrong with the meta journal is said below.
    let names = Names::committed(&source).unwrap_or_else(|_| Names::none());
    let missing = if source.is_data_folder() { expected::remarks(&source, &names) } else { Vec::new() };
    source.lost.extend(missing);
    source.keep_only(only);
    let look = Look {
        depth: Depth { strict: args.strict, decompressed_bytes_max: DECOMPRESSED_BYTES_MAX, names: &names },
        threads: args.threads.unwrap_or_else(cores).max(1),
    };
    let progress = Progress::over([&source]);
    let mut checks = look.check_all(&source.journals, &progress)?.into_iter();
    drop(progress);
    let mut report = Report { source: &source, out, code: exit::CLEAN, totals: Totals::default() };
    report.remarks(&node_copies(&source.path, source.node_bad_copies))?;
    report.remarks(&source.lost)?;
    for journal in &source.journals {
        let own = checks.by_ref().take(journal.segments.len()).collect();
        let mut judged = judge(journal, own, source.is_live, &names);
        if source.is_live {
            look.settle(journal, &mut judged)?;
        }
        report.totals.add(&judged.totals);
        report.remarks(&judged.remarks)?;
        report.remarks(&runs::remarks(journal, &names)?)?;
    }
    report.end()
}

/// What a thread found of one segment, once it is done.
type Slot = Mutex<Option<Result<Option<SegmentCheck>, Trouble>>>;

impl Look<'_> {
    /// All segments, in order; each is checked by one of the threads.
    fn check_all(
        self,
        journals: &[Journal],
        progress: &Progress,
    ) -> Result<Vec<Option<SegmentCheck>>, Trouble> {
        let work: Vec<(&Journal, &Segment)> =
            journals.iter().flat_map(|j| j.segments.iter().map(move |segment| (j, segment))).collect();
        let next = AtomicUsize::new(0);
        let results: Vec<Slot> = work.iter().map(|_| Mutex::new(None)).collect();
        std::thread::scope(|scope| {
            for _ in 0..self.threads.min(work.len()) {
                scope.spawn(|| {
                    while let Some((at, (journal, segment))) = take(&next, &work) {
                        let result = check(journal, segment, self.depth, &|bytes| progress.advance(bytes));
                        *results[at].lock().expect("no thread panicked") = Some(result);
                    }
                });
            }
        });
        let result =
            |slot: Mutex<Option<_>>| slot.into_inner().expect("no thread panicked").expect("each is done");
        results.into_iter().map(result).collect()
    }

    /// A broker that writes makes sound things look damaged: an entry is met half written, and by
    /// the time its successor is read it is committed; a segment is sealed, or deleted, between
    /// listing and reading. What is damaged is so at the second look too.
    fn settle(self, journal: &Journal, judged: &mut Judged) -> Result<(), Trouble> {
        let Some(dir) = &journal.dir else { return Ok(()) };
        if judged.remarks.is_empty() {
            return Ok(());
        }
        let later = match journal_folder(dir, true) {
            Ok(Some(later)) => later,
            // Dropped meanwhile.
            Ok(None) | Err(_) if !dir.exists() => {
                judged.remarks.clear();
                return Ok(());
            }
            Ok(None) => return Ok(()),
            Err(remark) => return Err(Trouble::unreadable(&dir.join(&remark.file), remark.text)),
        };
        let later = std::slice::from_ref(&later);
        let checks = self.check_all(later, &Progress::hidden())?;
        judged.confirmed_by(&judge(&later[0], checks, true, self.depth.names));
        Ok(())
    }
}

fn take<'w, T>(next: &AtomicUsize, work: &'w [T]) -> Option<(usize, &'w T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    work.get(at).map(|work| (at, work))
}

struct Report<'a, 'o> {
    source: &'a Source,
    out: &'a mut Out<'o>,
    code: u8,
    totals: Totals,
}

impl Report<'_, '_> {
    fn remarks(&mut self, remarks: &[Remark]) -> Result<(), Trouble> {
        for remark in remarks {
            self.code = self.code.max(remark.what.exit_code());
            self.out.verdict(row! {
                "what" => remark.what.name(),
                "journal" => remark.journal,
                "file" => remark.file,
                "position" => remark.position,
                "index" => remark.index.map(|index| index.0),
                "text" => remark.text,
            })?;
        }
        Ok(())
    }

    fn end(self) -> Result<u8, Trouble> {
        let result = match self.code {
            exit::CLEAN => "clean",
            exit::TORN => "torn tail",
            exit::DAMAGE => "damaged",
            _ => "unreadable",
        };
        let totals = self.totals;
        self.out.verdict(row! {
            "result" => result,
            "live" => self.source.is_live,
            "journals" => self.source.journals.len(),
            "segments" => totals.segments,
            "entries" => totals.entries,
            "batches" => totals.batches,
            "records" => totals.records,
            "bytes" => totals.bytes,
        })?;
        Ok(self.code)
    }
}
