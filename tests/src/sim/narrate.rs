//! Says what happens, for the trace and the counters: a line per input and output, a name per step.

use super::disk::SimDisk;
use super::trace::Trace;
use engine::disk::DiskRequest;
use engine::peer::{PeerMessage, RaftKind};
use engine::port::{Input, Output};

/// Node and shard.
type Where = (usize, u16);

pub fn input(trace: &mut Trace, now_ns: u64, (node, shard): Where, input: &Input<'_>) {
    match input {
        Input::View(view) => trace.line(now_ns, format_args!("n{node}/s{shard} <- View {}", view.version)),
        Input::Produce(produce) => trace.line(
            now_ns,
            format_args!(
                "n{node}/s{shard} <- Produce {:?}.{} {:?} {:?} {} bytes {:08x}",
                produce.request,
                produce.slot,
                produce.partition,
                produce.acks,
                produce.records.len(),
                crc32c::crc32c(produce.records)
            ),
        ),
        Input::Disk { op, result } => {
            trace.line(now_ns, format_args!("n{node}/s{shard} <- {op:?} {result:?}"));
        }
        Input::Peer { from, message } => {
            trace.line(now_ns, format_args!("n{node}/s{shard} <- n{from} {}", brief(message)));
        }
        other => trace.line(now_ns, format_args!("n{node}/s{shard} <- {other:?}")),
    }
}

pub fn output(trace: &mut Trace, now_ns: u64, (node, shard): Where, output: &Output, disk: &SimDisk) {
    match output {
        Output::View(view) => trace.line(now_ns, format_args!("n{node}/s{shard} -> View {}", view.version)),
        Output::Disk { op, request } => {
            let path = disk.subject(shard, request);
            let crc = match request {
                DiskRequest::Write { buffer, .. } => crc32c::crc32c(buffer),
                _ => 0,
            };
            trace.line(now_ns, format_args!("n{node}/s{shard} -> {op:?} {request:?} {path} {crc:08x}"));
        }
        Output::Fetched { request, partitions } => {
            for part in partitions {
                let crc = part.records.iter().fold(0, |crc, slice| crc32c::crc32c_append(crc, slice));
                trace.line(
                    now_ns,
                    format_args!(
                        "n{node}/s{shard} -> Fetched {request:?} {:?} hw {} start {} {} bytes {crc:08x}",
                        part.error, part.high_watermark, part.log_start, part.bytes
                    ),
                );
            }
        }
        // What arrives is told where it arrives.
        Output::Peer { .. } => {}
        other => trace.line(now_ns, format_args!("n{node}/s{shard} -> {other:?}")),
    }
}

/// A message without its entry's bytes.
fn brief(message: &PeerMessage) -> String {
    let entry = message.entry().map(|entry| {
        let header = entry.header();
        format!(" with entry {} of term {}, {} bytes", header.index(), header.term(), entry.len())
    });
    let PeerMessage::Raft { journal, message } = message else { return format!("{message:?}") };
    let kind = match &message.kind {
        RaftKind::Append { previous, previous_term, commit, .. } => {
            format!("Append after {previous} of {previous_term}, commit {commit}")
        }
        other => format!("{other:?}"),
    };
    let entry = entry.unwrap_or_default();
    format!("j{journal} r{} r{} term {} {kind}{entry}", message.from, message.to, message.term)
}

/// Names what a crash interrupted, without the numbers.
pub fn step_name(request: &DiskRequest, path: &str) -> String {
    let what = match request {
        DiskRequest::Open { create: true, .. } => "create",
        DiskRequest::Open { create: false, .. } => "open",
        DiskRequest::Allocate { .. } => "allocate",
        DiskRequest::Write { .. } => "write",
        DiskRequest::Read { .. } => "read",
        DiskRequest::Sync { .. } => "sync",
        DiskRequest::Truncate { .. } => "truncate",
        DiskRequest::Close { .. } => "close",
        DiskRequest::Rename { .. } => "rename",
        DiskRequest::Remove { .. } => "remove",
        DiskRequest::CreateDir { .. } => "create folder",
        DiskRequest::SyncDir { .. } => "sync folder",
        DiskRequest::List { .. } => "list",
        DiskRequest::Rest => "rest",
    };
    format!("{what} {}", file_kind(path))
}

/// A path's kind: what the folder's layout calls it.
pub fn file_kind(path: &str) -> &str {
    if path.contains("quarantine/") {
        return "quarantined piece";
    }
    let name = path.rsplit('/').next().expect("split gives one part");
    for (ending, kind) in [
        (".seg", "segment"),
        (".idx", "index"),
        ("local.ckpt", "local checkpoint"),
        (".ckpt", "checkpoint"),
        (".run.tmp", "temporary run"),
        (".run-part", "part of a run"),
        (".run", "run"),
        (".tmp", "temporary file"),
    ] {
        if name.ends_with(ending) {
            return kind;
        }
    }
    match name {
        "journals" => "journals folder",
        "quarantine" => "quarantine folder",
        "" | "." => "data folder",
        known @ ("hard-state" | "journal.meta" | "node.meta" | "reserve" | "probe" | "lock") => known,
        _ if path.starts_with("journals/") => "journal folder",
        _ => "other",
    }
}
