//! The runs of a journal's folder, as a start finds them.

use crate::disk::DiskError;
use crate::entry::run_made::RunInput;
use crate::folder;
use crate::ids::{JournalIdentity, RunId};
use crate::journal::context::Context;
use crate::journal::read::container::Sealed;
use crate::journal::read::run::{OpenRun, RunError};
use crate::partition::runs::Runs;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What is there.
#[derive(Default)]
pub struct RunsOnDisk {
    /// None where a file cannot be used, or nothing needs it.
    pub here: BTreeMap<RunId, Option<Rc<OpenRun>>>,
    /// Runs that are read from and are bad or missing, and why.
    pub bad: BTreeMap<RunId, String>,
}

/// Opens those that the journal names, and what the last one was made of: it is read as long as that one is not here.
pub async fn open_all(
    context: &Context,
    identity: JournalIdentity,
    listed: &[RunId],
    runs: &Runs,
) -> Result<RunsOnDisk, DiskError> {
    let mut found =
        RunsOnDisk { here: listed.iter().map(|run| (*run, None)).collect(), ..RunsOnDisk::default() };
    for made in runs.settled().iter().chain(runs.made()) {
        let expected = Some((made.file_bytes, made.checksum));
        if !found.here.contains_key(&made.run) {
            // Of one that is not settled nobody reads yet.
            if runs.settled().iter().any(|settled| settled.run == made.run) {
                found.bad.insert(made.run, "its file is not there".to_owned());
            }
            continue;
        }
        match open_one(context, identity, made.run, expected).await? {
            Ok(run) => drop(found.here.insert(made.run, Some(Rc::new(run)))),
            Err(why) => drop(found.bad.insert(made.run, why)),
        }
    }
    let settled = runs.settled().last();
    for input in settled.map_or(&[][..], |made| &made.inputs) {
        if let RunInput::Run(run) = *input
            && found.here.contains_key(&run)
            && let Ok(opened) = open_one(context, identity, run, None).await?
        {
            found.here.insert(run, Some(Rc::new(opened)));
        }
    }
    Ok(found)
}

async fn open_one(
    context: &Context,
    identity: JournalIdentity,
    run: RunId,
    expected: Option<(u64, u64)>,
) -> Result<Result<OpenRun, String>, DiskError> {
    let path = folder::run_path(context.journal, run);
    match OpenRun::open((&context.io, &context.blocks), identity, run, &path, expected).await {
        Ok(run) => Ok(Ok(run)),
        Err(RunError::Fault(fault)) => Ok(Err(fault.to_string())),
        // What cannot be read now is told like what is bad; it stays where it is.
        Err(RunError::Disk(error)) => Ok(Err(error.to_string())),
    }
}

impl RunsOnDisk {
    /// The run to read from: the newest that is here and that the segments go on behind.
    pub fn newest(&self, runs: &Runs, sealed: &VecDeque<Rc<Sealed>>) -> Option<Rc<OpenRun>> {
        let settled = runs.settled().last()?;
        let follows = |run: &Rc<OpenRun>| {
            run.id == settled.run || sealed.iter().any(|segment| segment.base == run.rewritten.next())
        };
        let mut named = self.here.range(..=settled.run).rev().filter_map(|(_, run)| run.as_ref());
        named.find(|run| follows(run)).cloned()
    }

    /// Closes what was opened.
    pub async fn close(self) -> Result<(), DiskError> {
        for run in self.here.into_values().flatten() {
            run.close().await?;
        }
        Ok(())
    }
}
