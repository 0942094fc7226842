//! What a node tells another one while they form a cluster, and its bytes.

use super::Members;
use crate::codec::{Reader, Short, Write};
use crate::folder::FORMATION_MEMBERS_MAX;
use crate::ids::{BrokerIds, Incarnation, NodeId};

/// The newest version written and understood.
pub const REPORT_VERSION: u16 = 2;
/// Since this one a report may ask for a stride of broker ids; without one the version before is
/// written.
const STRIDE_SINCE: u16 = 2;
/// Bytes of a node's number, and of a member.
const NODE_BYTES: usize = 4;
const MEMBER_BYTES: usize = 20;

/// One node's word on the formation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub node: NodeId,
    pub incarnation: Incarnation,
    /// To be echoed by the receiver in its next report. Never 0.
    pub challenge: u64,
    /// The receiver's last challenge; 0 before any.
    pub echo: u64,
    pub segment_bytes: u64,
    /// As the sender's operator asked for them.
    pub broker_ids: Option<BrokerIds>,
    /// `stored` is final.
    pub is_final: bool,
    /// All nodes that the sender was told of, itself among them; sorted.
    pub listed: Vec<NodeId>,
    /// The set that the sender has made durable; sorted by node, empty before the first.
    pub stored: Members,
}

/// Bytes that are no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    #[error("formation report of version {found}; this program knows versions up to {REPORT_VERSION}")]
    Version { found: u16 },
    #[error("formation report ends early")]
    Short(#[from] Short),
    #[error("formation report holds a value that its field does not allow")]
    Value,
}

impl Report {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u16(if self.broker_ids.is_some() { STRIDE_SINCE } else { STRIDE_SINCE - 1 });
        bytes.put_u16(self.is_final.into());
        bytes.put_u32(self.node.0);
        bytes.put_u128(self.incarnation.0);
        bytes.put_u64(self.challenge);
        bytes.put_u64(self.echo);
        bytes.put_u64(self.segment_bytes);
        if let Some(broker_ids) = self.broker_ids {
            bytes.put_u16(broker_ids.stride());
        }
        bytes.put_count(self.listed.len());
        self.listed.iter().for_each(|node| bytes.put_u32(node.0));
        bytes.put_count(self.stored.len());
        for (node, incarnation) in &self.stored {
            bytes.put_u32(node.0);
            bytes.put_u128(incarnation.0);
        }
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, ReportError> {
        let mut reader = Reader(bytes);
        let found = reader.u16()?;
        if found == 0 || found > REPORT_VERSION {
            return Err(ReportError::Version { found });
        }
        let flags = reader.u16()?;
        let report = Self {
            is_final: flags == 1,
            node: NodeId(reader.u32()?),
            incarnation: Incarnation(reader.u128()?),
            challenge: reader.u64()?,
            echo: reader.u64()?,
            segment_bytes: reader.u64()?,
            broker_ids: if found >= STRIDE_SINCE {
                Some(BrokerIds::new(reader.u16()?).ok_or(ReportError::Value)?)
            } else {
                None
            },
            listed: listed(&mut reader)?,
            stored: members(&mut reader)?,
        };
        let empty_final = report.is_final && report.stored.is_empty();
        if flags > 1 || report.challenge == 0 || empty_final || !reader.is_empty() {
            return Err(ReportError::Value);
        }
        Ok(report)
    }
}

fn listed(reader: &mut Reader<'_>) -> Result<Vec<NodeId>, ReportError> {
    let count = bounded(reader.count(NODE_BYTES)?)?;
    let listed = (0..count).map(|_| reader.u32().map(NodeId)).collect::<Result<Vec<_>, _>>()?;
    if listed.is_sorted_by(|a, b| a < b) { Ok(listed) } else { Err(ReportError::Value) }
}

fn members(reader: &mut Reader<'_>) -> Result<Members, ReportError> {
    let count = bounded(reader.count(MEMBER_BYTES)?)?;
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        members.push((NodeId(reader.u32()?), Incarnation(reader.u128()?)));
    }
    if members.is_sorted_by(|a, b| a.0 < b.0) { Ok(members) } else { Err(ReportError::Value) }
}

fn bounded(count: usize) -> Result<usize, ReportError> {
    if count <= FORMATION_MEMBERS_MAX { Ok(count) } else { Err(ReportError::Value) }
}
