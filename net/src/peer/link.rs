//! One link's bytes: the handshake, frames in with their entries straight into the buffers that
//! are written to disk, frames out as gather writes of the buffers that were. Knows neither raft
//! nor whom it serves; a link that saw an error is closed by its owner and never read again.

use super::frame::{self, FrameError, FrameKind, HEADER_BYTES};
use super::handshake::{Hello, HelloError, Refused};
use super::join::JoinError;
use crate::client::any_socket::AnySocket;
use engine::disk::{BLOCK, Buffer, BufferPool, IO_BYTES_MAX};
use engine::entry::bytes::NoEntry;
use engine::formation::report::ReportError;
use engine::ids::NodeId;
use engine::peer::DecodeError;
use smallvec::SmallVec;
use std::io;

/// The longest text of a refusal that is read.
const REFUSAL_BYTES_MAX: usize = 1024;

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("the other end closed the link")]
    Closed,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Hello(#[from] HelloError),
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    #[error("refused by the other end: {0}")]
    RefusedThere(String),
    #[error("{0}")]
    OldCopy(String),
    #[error("refused by the other end: {text}")]
    OldCopyThere { seen: u64, text: String },
    #[error("a {found:?} frame where {expected} was to come")]
    Unexpected { found: FrameKind, expected: &'static str },
    #[error(transparent)]
    Message(#[from] DecodeError),
    #[error(transparent)]
    Entry(#[from] NoEntry),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("node {link} sends the formation report of node {report}")]
    ForeignReport { link: NodeId, report: NodeId },
    #[error("another process says to be node {0}, and its link is alive; give each node its own --node-id")]
    Duplicate(NodeId),
    #[error("nothing was heard for {0} ms")]
    Silent(u64),
    #[error("{0} bytes wait to be sent: the other end does not take them")]
    Full(usize),
    #[error("the node called again")]
    Replaced,
    #[error(
        "its link is in the clear, and this node's are within TLS: start it with --peer-tls prefer or require"
    )]
    InTheClear,
    #[error("TLS: {0}")]
    Tls(String),
    #[error("{0}")]
    Certificate(String),
    #[error("its name has no address yet")]
    NoAddress,
    /// No handshake: a node asks who the members are.
    #[error("a node asks who the members are")]
    Joins(Vec<u8>),
    #[error("what a node asks that would join: {0}")]
    Join(#[from] JoinError),
}

/// A frame that came.
#[derive(Debug)]
pub struct Incoming {
    pub kind: FrameKind,
    pub body: Vec<u8>,
    /// The entry's bytes, in pieces of at most 1 MiB that can be written as they are; empty if
    /// there is none. Not verified: that is the engine's, once.
    pub entry: Pieces,
}

/// An entry's buffers, in order.
pub type Pieces = SmallVec<[Buffer; 1]>;

/// A frame to be sent; the entry's buffers are the leader's own, shared.
#[derive(Debug)]
pub struct Outgoing {
    pub kind: FrameKind,
    pub body: Vec<u8>,
    pub entry: Pieces,
}

impl Outgoing {
    /// A frame without an entry.
    pub fn small(kind: FrameKind, body: Vec<u8>) -> Self {
        Self { kind, body, entry: Pieces::new() }
    }

    /// What it takes of the link's bound.
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + self.body.len() + self.entry_bytes()
    }

    fn entry_bytes(&self) -> usize {
        self.entry.iter().map(|piece| piece.len()).sum()
    }
}

/// Told how reading goes: that it has to wait, and how many bytes came.
pub trait Progress {
    fn waits(&self);
    fn came(&self, bytes: usize);
}

/// Reads one frame.
pub async fn receive(
    socket: &AnySocket,
    pool: &BufferPool,
    progress: &impl Progress,
) -> Result<Incoming, LinkError> {
    let mut header = [0; HEADER_BYTES];
    read_exact(socket, &mut header, progress).await?;
    let coming = frame::read_header(&header)?;
    let mut body = vec![0; coming.body_bytes];
    read_exact(socket, &mut body, progress).await?;
    coming.check_body(&body)?;
    let mut entry = Pieces::with_capacity(coming.entry_bytes.div_ceil(IO_BYTES_MAX));
    let mut left = coming.entry_bytes;
    while left > 0 {
        let bytes = left.min(IO_BYTES_MAX);
        assert!(bytes.is_multiple_of(BLOCK), "the header was checked");
        let mut piece = pool.take(bytes);
        read_exact(socket, &mut piece[..bytes], progress).await?;
        entry.push(piece.seal(bytes));
        left -= bytes;
    }
    Ok(Incoming { kind: coming.kind, body, entry })
}

/// Sends all of a turn's frames with as few calls as the socket takes; `progress` is told of each.
pub async fn send(
    socket: &AnySocket,
    frames: &[Outgoing],
    progress: impl Fn(usize),
) -> Result<(), LinkError> {
    let header = |frame: &Outgoing| frame::header(frame.kind, &frame.body, frame.entry_bytes());
    let headers: Vec<[u8; HEADER_BYTES]> = frames.iter().map(header).collect();
    let mut pieces: Vec<&[u8]> = Vec::with_capacity(frames.len() * 3);
    for (header, frame) in headers.iter().zip(frames) {
        pieces.push(header);
        pieces.push(&frame.body);
        pieces.extend(frame.entry.iter().map(|piece| &piece[..]));
    }
    pieces.retain(|piece| !piece.is_empty());
    Ok(socket.write_all(&pieces, progress).await?)
}

/// Says hello, reads the other's and judges it; a refusal is told to the other end.
pub async fn greet(
    socket: &AnySocket,
    pool: &BufferPool,
    ours: &Hello,
    is_listed: impl Fn(NodeId) -> bool,
) -> Result<Hello, LinkError> {
    send(socket, &[Outgoing::small(FrameKind::Hello, ours.encode())], |_| ()).await?;
    let incoming = receive(socket, pool, &Untold).await?;
    let theirs = match incoming.kind {
        FrameKind::Hello => Hello::decode(&incoming.body)?,
        FrameKind::Refusal => return Err(LinkError::RefusedThere(refusal_text(&incoming.body))),
        FrameKind::OldCopy => return Err(old_copy(&incoming.body)),
        FrameKind::Join => return Err(LinkError::Joins(incoming.body)),
        found => return Err(LinkError::Unexpected { found, expected: "a hello" }),
    };
    if let Err(refused) = ours.judge(&theirs, is_listed) {
        refuse(socket, &refused.to_string()).await;
        return Err(refused.into());
    }
    Ok(theirs)
}

/// Tells the other end why the link is closed.
pub async fn refuse(socket: &AnySocket, reason: &str) {
    let frame = Outgoing::small(FrameKind::Refusal, reason.as_bytes().to_vec());
    // It may be gone: what counts is this end's reason.
    let _ = send(socket, &[frame], |_| ()).await;
}

/// Tells a node that would join who the members are.
pub async fn tell_members(socket: &AnySocket, body: Vec<u8>) -> Result<(), LinkError> {
    send(socket, &[Outgoing::small(FrameKind::Members, body)], |_| ()).await
}

/// Tells the other end that it runs on an older copy of its folder, and which start was met.
pub async fn refuse_old(socket: &AnySocket, seen: u64, reason: &str) {
    let body = [&seen.to_le_bytes(), reason.as_bytes()].concat();
    let _ = send(socket, &[Outgoing::small(FrameKind::OldCopy, body)], |_| ()).await;
}

/// The same, as it came.
pub fn old_copy(body: &[u8]) -> LinkError {
    match body.split_first_chunk() {
        Some((seen, text)) => {
            LinkError::OldCopyThere { seen: u64::from_le_bytes(*seen), text: refusal_text(text) }
        }
        None => LinkError::RefusedThere(refusal_text(body)),
    }
}

/// Nobody asks how the handshake goes.
struct Untold;

impl Progress for Untold {
    fn waits(&self) {}
    fn came(&self, _: usize) {}
}

/// A refusal's text as it may stand in a log: bounded, without control characters.
pub fn refusal_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(REFUSAL_BYTES_MAX)]);
    text.chars().filter(|character| !character.is_control()).collect()
}

async fn read_exact(socket: &AnySocket, into: &mut [u8], progress: &impl Progress) -> Result<(), LinkError> {
    let mut filled = 0;
    while filled < into.len() {
        match socket.read(&mut into[filled..], || progress.waits()).await? {
            0 => return Err(LinkError::Closed),
            read => {
                filled += read;
                progress.came(read);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::socket::Socket;
    use crate::peer::handshake::VERSIONS;
    use engine::ids::{ClusterId, Incarnation, Run, ShardId};
    use glommio::LocalExecutor;
    use glommio::net::{TcpListener, TcpStream};

    fn with_pair<F: Future<Output = ()>>(test: impl FnOnce(AnySocket, AnySocket, BufferPool) -> F) {
        LocalExecutor::default().run(async {
            let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
            let address = listener.local_addr().expect("an address");
            let (called, calling) =
                futures_lite::future::zip(listener.accept(), TcpStream::connect(address)).await;
            let (called, calling) = (called.expect("accepted"), calling.expect("connected"));
            let plain = |stream| AnySocket::Plain(Socket::new(stream));
            test(plain(called), plain(calling), BufferPool::new(8 << 20)).await;
        });
    }

    fn hello(node: u32, cluster: u128) -> Hello {
        Hello {
            versions: VERSIONS,
            cluster: ClusterId(cluster),
            node: NodeId(node),
            incarnation: Incarnation(u128::from(node)),
            shard: ShardId(0),
            shards: 1,
            lanes: 1,
            to: None,
            run: Run { start: 3, nonce: u64::from(node) },
        }
    }

    #[test]
    fn frames_and_entries_arrive_as_they_were_sent() {
        with_pair(|one, other, pool| async move {
            // Three pieces that the receiver cuts otherwise: 64 KiB, 1 MiB, 4 KiB.
            let piece = |bytes: usize, byte: u8| pool.copy_of(&vec![byte; bytes]);
            let entry = Pieces::from_vec(vec![piece(64 << 10, 1), piece(1 << 20, 2), piece(4096, 3)]);
            let expected: Vec<u8> = entry.iter().flat_map(|piece| piece.to_vec()).collect();
            let frames = [
                Outgoing { kind: FrameKind::Message, body: b"one".to_vec(), entry },
                Outgoing::small(FrameKind::Message, Vec::new()),
            ];
            let (sent, (first, second)) = futures_lite::future::zip(send(&one, &frames, |_| ()), async {
                (receive(&other, &pool, &Untold).await, receive(&other, &pool, &Untold).await)
            })
            .await;
            sent.expect("sent");
            let (first, second) = (first.expect("received"), second.expect("received"));
            assert_eq!((first.kind, &first.body[..]), (FrameKind::Message, &b"one"[..]));
            let received: Vec<u8> = first.entry.iter().flat_map(|piece| piece.to_vec()).collect();
            assert!(received == expected);
            assert!(second.body.is_empty() && second.entry.is_empty());
        });
    }

    #[test]
    fn a_foreign_node_is_told_why_it_is_refused() {
        with_pair(|one, other, pool| async move {
            let (ours, theirs) = (hello(1, 7), hello(2, 8));
            let (here, there) = futures_lite::future::zip(
                greet(&one, &pool, &ours, |_| true),
                greet(&other, &pool, &theirs, |_| true),
            )
            .await;
            for refused in [here, there] {
                let text = refused.expect_err("refused").to_string();
                assert!(text.contains("cluster 00000000000000000000000000000"), "{text}");
            }
        });
    }

    #[test]
    fn members_greet_and_a_refusal_reaches_the_other_end() {
        with_pair(|one, other, pool| async move {
            let (ours, theirs) = (hello(1, 7), hello(2, 7));
            let (here, there) = futures_lite::future::zip(
                greet(&one, &pool, &ours, |_| true),
                greet(&other, &pool, &theirs, |_| false),
            )
            .await;
            assert_eq!(here.expect("accepted"), theirs);
            there.expect_err("node 1 is not listed there");
            let told = receive(&one, &pool, &Untold).await.expect("the reason");
            assert_eq!(told.kind, FrameKind::Refusal);
            assert!(refusal_text(&told.body).starts_with("node 1 is neither a member nor invited"));
        });
    }

    #[test]
    fn garbage_and_an_early_end_are_errors() {
        with_pair(|one, other, pool| async move {
            one.write_all(&[b"GET / HTTP/1.1\r\nHost: duramen\r\n\r\n"], |_| ()).await.expect("written");
            let error = receive(&other, &pool, &Untold).await.expect_err("garbage");
            assert!(matches!(error, LinkError::Frame(FrameError::Magic(_))), "{error}");
        });
        with_pair(|one, other, pool| async move {
            let head = frame::header(FrameKind::Message, b"", 8192);
            one.write_all(&[&head, &[0; 5000]], |_| ()).await.expect("written");
            one.shutdown();
            assert!(matches!(receive(&other, &pool, &Untold).await, Err(LinkError::Closed)));
            assert_eq!(pool.used_bytes(), 0);
        });
    }
}
