//! A node's begin on its folder: who it is, which start this is, and what of all that it had is
//! still there. Nothing is opened, and nobody is spoken to, before this is written down.

use super::registry::missing_here;
use crate::disk::io::Io;
use crate::disk::{BufferPool, DiskError, DiskErrorKind};
use crate::folder::{self, FolderError, NODE_META, NodeMeta};
use crate::formation::cluster_of;
use crate::framing::{FormatFault, read_copies, replace_file};
use crate::ids::{ClusterId, Incarnation, JournalId, META_JOURNAL};
use crate::journal::format::hard_state::HARD_STATE_BYTES;
use crate::journal::recover::survey::{set_aside, survey};
use crate::register::{Amnesia, Begun, NodeRecord, Register, Registered};
use crate::shard::config::ShardConfig;
use crate::shard::lifecycle::first_meta;
use std::collections::BTreeMap;

/// Reads `node.meta`, or makes it at the first start, and enters this start in it.
pub(in crate::shard) async fn begin(
    io: Io,
    pool: BufferPool,
    config: &ShardConfig,
    incarnation: Incarnation,
) -> Result<Begun, FolderError> {
    let mut record = match read_record(&io, config).await? {
        Read::Good(record) => record,
        Read::Missing => new_record(&io, config, incarnation).await?,
        Read::Bad => {
            let record = new_record(&io, config, incarnation).await?;
            keep_bad_record(&io, incarnation).await.map_err(FolderError::Write)?;
            record
        }
    };
    let mut begun = Begun::default();
    record.register.start += 1;
    let found = look(&io, &mut record).await.map_err(|error| FolderError::Data(error.to_string()))?;
    if is_alone(config) {
        accept_or_refuse(&io, &pool, config, &mut record, &mut begun).await?;
    }
    begun.lost = found.into_iter().filter(|(journal, _)| !record.register.has(*journal)).collect();
    if is_alone(config) {
        begun.lost.clear();
    }
    if let Err(error) = replace_file(&io, &pool, ".", NODE_META, &record.encode()).await {
        if error.kind == DiskErrorKind::NoSpace {
            folder::give_up_reserve(&io).await;
        }
        return Err(FolderError::Write(error));
    }
    begun.record = Some(record);
    Ok(begun)
}

fn is_alone(config: &ShardConfig) -> bool {
    config.peers.iter().all(|node| *node == config.node)
}

enum Read {
    Good(NodeRecord),
    Missing,
    Bad,
}

async fn read_record(io: &Io, config: &ShardConfig) -> Result<Read, FolderError> {
    let data = |text: String| FolderError::Data(text);
    let bytes = match read_copies(io, NODE_META, folder::NODE_META_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(Read::Missing),
        Err(error) => return Err(data(error.to_string())),
    };
    match NodeRecord::decode(&bytes) {
        Ok((record, _)) if record.node.node == config.node => Ok(Read::Good(record)),
        Ok((record, _)) => Err(data(format!(
            "the data folder belongs to node {}, not to node {}; start it with --node-id {}",
            record.node.node, config.node, record.node.node
        ))),
        Err(error) if matches!(error.fault, FormatFault::Newer { .. }) => Err(data(error.to_string())),
        Err(_) => Ok(Read::Bad),
    }
}

/// A node without a record. One that has journals all the same is no new node: alone it does not
/// know whose they are, and with peers it asks to be taken in anew.
async fn new_record(
    io: &Io,
    config: &ShardConfig,
    incarnation: Incarnation,
) -> Result<NodeRecord, FolderError> {
    let left = leftover(io).await.map_err(|error| FolderError::Data(error.to_string()))?;
    let is_alone = is_alone(config);
    if is_alone && !left.is_empty() {
        let journals: Vec<String> = left.iter().map(|journal| folder::journal_dir(*journal)).collect();
        return Err(FolderError::Data(format!(
            "node.meta is missing or bad, and this folder holds journals ({}). Nothing was changed. Put node.meta \
             back from a copy of this folder, or give --data-dir another folder to begin an empty cluster there",
            journals.join(", ")
        )));
    }
    // Alone, a node is its own whole list and forms at once.
    let formation = if is_alone { vec![(config.node, incarnation)] } else { Vec::new() };
    let node = NodeMeta {
        node: config.node,
        incarnation,
        cluster: if is_alone { cluster_of(&formation) } else { ClusterId(0) },
        formation,
        is_final: is_alone,
        lanes: config.lanes,
        segment_bytes: config.segment_bytes,
    };
    let mut register = Register { is_complete: true, ..Register::default() };
    for journal in left {
        // Whatever raft id it had, the one that this node gets now is newer.
        let lost = Some(Amnesia::NodeMissing);
        register.journals.insert(journal, Registered { lost, ..Registered::default() });
    }
    Ok(NodeRecord { node, register })
}

/// Journals of which any file is there.
async fn leftover(io: &Io) -> Result<Vec<JournalId>, DiskError> {
    let mut left = Vec::new();
    for journal in folders(io).await? {
        let entries = io.list(&folder::journal_dir(journal)).await?;
        if entries.iter().any(|entry| !entry.is_dir) {
            left.push(journal);
        }
    }
    Ok(left)
}

async fn folders(io: &Io) -> Result<Vec<JournalId>, DiskError> {
    match io.list(folder::JOURNALS).await {
        Ok(entries) => {
            Ok(entries.iter().filter_map(|entry| folder::parse_journal_dir(&entry.name)).collect())
        }
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A record that cannot be read is put by, like all that is in doubt.
async fn keep_bad_record(io: &Io, incarnation: Incarnation) -> Result<(), DiskError> {
    io.create_dir(folder::QUARANTINE).await?;
    let to = format!("{}/{NODE_META}-{:032x}", folder::QUARANTINE, incarnation.0);
    io.rename(NODE_META, &to).await?;
    io.sync_dir(folder::QUARANTINE).await?;
    io.sync_dir(".").await
}

/// Looks at everything that was entered, and enters what a folder from before there was a register
/// holds. Gives what proved to be lost.
async fn look(io: &Io, record: &mut NodeRecord) -> Result<BTreeMap<JournalId, Amnesia>, DiskError> {
    let NodeRecord { node, register } = record;
    let mut lost = BTreeMap::new();
    if !register.is_complete {
        for journal in folders(io).await? {
            let found = survey(io, journal, node.cluster, None).await?;
            if found.lost == Some(Amnesia::FolderMissing) {
                continue;
            }
            let raft_id = found.raft_id.unwrap_or_default();
            register.journals.insert(journal, Registered::new(raft_id, 0));
        }
        let own = (node.node, node.incarnation);
        if node.is_final && node.formation.contains(&own) {
            // It was made as soon as the cluster was formed.
            let first = Registered::new(first_meta(node).0.raft_id, 0);
            register.journals.entry(META_JOURNAL).or_insert(first);
        }
        register.is_complete = !node.is_final;
    }
    for (journal, registered) in &mut register.journals {
        if registered.lost.is_none() {
            let known = Some(*registered).filter(|known| known.raft_id.0 != 0);
            registered.lost = survey(io, *journal, node.cluster, known).await?.lost;
        }
        lost.extend(registered.lost.map(|why| (*journal, why)));
    }
    Ok(lost)
}

/// Alone there is nobody to get a lost replica from: the operator accepts each of them, or the node
/// does not start and changes nothing.
async fn accept_or_refuse(
    io: &Io,
    pool: &BufferPool,
    config: &ShardConfig,
    record: &mut NodeRecord,
    begun: &mut Begun,
) -> Result<(), FolderError> {
    let register = &mut record.register;
    let lost: Vec<(JournalId, Amnesia)> =
        register.journals.iter().filter_map(|(id, registered)| Some((*id, registered.lost?))).collect();
    let unaccepted: Vec<(JournalId, Amnesia)> =
        lost.iter().filter(|(id, _)| !config.accept_loss.contains(id)).copied().collect();
    if !unaccepted.is_empty() {
        return Err(FolderError::Data(missing_here(&unaccepted)));
    }
    for (journal, why) in &lost {
        let is_meta_lost = *journal == META_JOURNAL && *why != Amnesia::HardStateMissing;
        // Without the metadata nobody knows what the other journals are of.
        let gone: Vec<JournalId> =
            if is_meta_lost { register.journals.keys().copied().collect() } else { vec![*journal] };
        if *why == Amnesia::HardStateMissing {
            // All entries are there; alone, a vote counts for nothing.
            let (dir, zeros) = (folder::journal_dir(*journal), [0; HARD_STATE_BYTES]);
            let made = replace_file(io, pool, &dir, folder::HARD_STATE, &zeros).await;
            made.map_err(FolderError::Write)?;
            register.journals.get_mut(journal).expect("just seen").lost = None;
            continue;
        }
        for journal in gone {
            let Some(registered) = register.journals.remove(&journal) else { continue };
            let to = folder::set_aside_dir(journal, register.start, registered.raft_id);
            set_aside(io, journal, &to).await.map_err(FolderError::Write)?;
            begun.aside.push((journal, to));
        }
    }
    Ok(())
}
