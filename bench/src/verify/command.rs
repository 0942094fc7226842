//! The command: load, then the way back, then the judgement.

use super::acked::{self, AckLog, Title};
use super::judge::{Findings, Readback, Reader};
use crate::cluster::bootstrap::Bootstrap;
use crate::cluster::directory::Directory;
use crate::options::{From, Rate};
use crate::output::Output;
use crate::plan::Plan;
use crate::stats::interval::Recorder;
use crate::stats::result::RunResult;
use crate::threads::{Proving, SinkMaker};
use crate::trouble::{Outcome, Trouble};
use crate::workload::{FOR_EVER, Workload};
use crate::{interrupt, run};
use serde::Serialize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What `verify` was asked to do.
pub struct Request<'a> {
    pub bootstrap: Bootstrap,
    pub workload: Workload,
    pub acked: &'a Path,
    pub resume: bool,
}

#[derive(Serialize)]
struct FindingsLine<'a> {
    r#type: &'static str,
    clean: bool,
    idempotence: bool,
    #[serde(flatten)]
    findings: &'a Findings,
}

/// Runs it all; anything found is an error.
pub fn run(request: Request<'_>, output: &mut Output) -> Outcome<()> {
    let mut ended = None;
    if !request.resume {
        ended = produce(&request, output)?.failure;
    }
    let (title, acked) = acked::read(request.acked)?;
    let workload = Workload {
        topic: title.topic.clone(),
        topics: title.topics,
        partitions: title.partitions,
        ..request.workload
    };
    let readback = read_back(request.bootstrap, workload, title.run, output)?;
    let findings = readback.judge(&acked);
    let clean = findings.is_clean(title.idempotence);
    let line =
        FindingsLine { r#type: "findings", clean, idempotence: title.idempotence, findings: &findings };
    output.line(&serde_json::to_string(&line).expect("plain figures are JSON"))?;
    output.findings(&findings, &title);
    match (clean, ended) {
        (false, _) => Err(Trouble::Findings("verify: not everything is as it was acked".into())),
        (true, Some(why)) => {
            Err(Trouble::Run(format!("what was acked is there, but the run ended early: {why}")))
        }
        (true, None) => Ok(()),
    }
}

fn produce(request: &Request<'_>, output: &mut Output) -> Outcome<RunResult> {
    let run = fastrand::u64(..);
    let title = Title::new(&request.workload, run);
    let acks = AckLog::create(request.acked, &title)?;
    let plan = Plan {
        command: "verify",
        bootstrap: request.bootstrap.clone(),
        workload: request.workload.clone(),
        produce: true,
        consume: false,
        to_the_end: false,
        proving: Some(Proving { run, acks: acks.clone() }),
        sink: None,
    };
    let result = run::execute(plan, output).inspect_err(|_| acks.remove_unused())?;
    // Whoever interrupts the load wants to know what became of it.
    interrupt::heed();
    acks.check()?;
    output.result(&result)?;
    Ok(result)
}

fn read_back(bootstrap: Bootstrap, workload: Workload, run: u64, output: &mut Output) -> Outcome<Readback> {
    let workload = Workload {
        from: From::Earliest,
        records: None,
        seconds: FOR_EVER,
        warmup_seconds: 0.0,
        rate: Rate::Max,
        ..workload
    };
    // The brokers may still be on their way back.
    let directory = Directory::new(bootstrap.clone(), &workload);
    directory.wait_for_leaders(Duration::from_secs_f64(workload.retry_seconds.min(1e6)))?;
    let readback = Arc::new(Mutex::new(Readback::default()));
    let sink: SinkMaker = {
        let readback = Arc::clone(&readback);
        let record_bytes = workload.record_bytes;
        Arc::new(move |recorder: &Recorder| {
            let (readback, recorder) = (Arc::clone(&readback), recorder.clone());
            Box::new(Reader { run, record_bytes, recorder, readback })
        })
    };
    let plan = Plan {
        command: "verify",
        bootstrap,
        workload,
        produce: false,
        consume: true,
        to_the_end: true,
        proving: None,
        sink: Some(sink),
    };
    output.say("reading everything back");
    let result = run::execute(plan, output)?;
    if let Some(why) = result.failure {
        return Err(Trouble::Unread(format!("not everything could be read back: {why}")));
    }
    if result.interrupted {
        return Err(Trouble::Unread("reading back was interrupted".into()));
    }
    // Its consumers are gone with their threads.
    let whole = std::mem::take(&mut *readback.lock().expect("no thread panics while it judges"));
    Ok(whole)
}
