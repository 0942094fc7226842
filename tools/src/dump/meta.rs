//! `meta`: nodes, journals, topics, partitions with their spans, and settings.

use super::names::Names;
use super::out::Out;
use super::trouble::Trouble;
use crate::row;
use engine::control::View;
use engine::shard::Advertised;

pub fn meta(names: &Names, out: &mut Out<'_>) -> Result<(), Trouble> {
    let view = names.view().ok_or_else(|| {
        Trouble::Usage("meta needs the data folder or the folder of the meta journal (id 0)".to_owned())
    })?;
    out.row(row! {
        "what" => "cluster",
        "cluster" => format!("{:032x}", view.cluster.0),
        "version" => view.version.0,
        "lanes" => view.lanes,
        "nodes" => view.nodes.len(),
        "topics" => view.topics.len(),
        "journals" => view.journals.len(),
    })?;
    nodes_and_journals(view, out)?;
    topics(view, out)?;
    for (key, value) in view.broker_configs.iter() {
        out.row(row! { "what" => "config", "of" => "brokers", "key" => key, "value" => value })?;
    }
    for topic in view.topics.values() {
        for (key, value) in &topic.configs {
            out.row(row! { "what" => "config", "of" => &*topic.name, "key" => key, "value" => value })?;
        }
    }
    Ok(())
}

/// Those with a name: how shard 0 is reached by each.
fn listeners(advertised: &Advertised) -> Vec<String> {
    let listeners = advertised.listeners.iter();
    listeners.map(|one| format!("{}={}:{}", one.name, one.host, one.first_port)).collect()
}

fn nodes_and_journals(view: &View, out: &mut Out<'_>) -> Result<(), Trouble> {
    for node in view.nodes.values() {
        out.row(row! {
            "what" => "node",
            "node" => node.node.0,
            "incarnation" => format!("{:032x}", node.incarnation.0),
            "raft_id" => node.raft_id.0,
            "shards" => node.shards,
            "host" => node.advertised.host,
            "first_port" => node.advertised.first_port,
            "rack" => node.advertised.rack,
            "listeners" => listeners(&node.advertised),
        })?;
    }
    for journal in view.journals.values() {
        out.row(row! {
            "what" => "journal",
            "journal" => journal.id.0,
            "lane" => journal.lane.0,
            "life" => format!("{:?}", journal.life).to_lowercase(),
            "replicas" => journal.replicas.iter().map(|node| node.0).collect::<Vec<_>>(),
            "voters" => journal.voters.iter().map(|voter| voter.0).collect::<Vec<_>>(),
            "segment_bytes" => journal.segment_bytes,
            "batches_per_segment_max" => journal.batches_per_segment_max,
        })?;
    }
    Ok(())
}

fn topics(view: &View, out: &mut Out<'_>) -> Result<(), Trouble> {
    for topic in view.topics.values() {
        out.row(row! {
            "what" => "topic",
            "topic" => &*topic.name,
            "id" => format!("{:032x}", topic.id.0),
            "partitions" => topic.partitions.len(),
        })?;
    }
    for topic in view.topics.values() {
        for (number, partition) in topic.partitions.iter().enumerate() {
            for (span, at) in partition.spans.iter().enumerate() {
                out.row(row! {
                    "what" => "span",
                    "topic" => &*topic.name,
                    "number" => number,
                    "partition" => partition.id.0,
                    "span" => span,
                    "journal" => at.journal.0,
                    "first_offset" => at.first_offset,
                    "epoch_base" => at.epoch_base,
                })?;
            }
        }
    }
    Ok(())
}
