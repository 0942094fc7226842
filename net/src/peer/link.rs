//! One link's bytes: the handshake, frames in with their entries straight into the buffers that
//! are written to disk, frames out as gather writes of the buffers that were. Knows neither raft
//! nor whom it serves; a link that saw an error is closed by its owner and never read again.

use super::frame::{self, FrameError, FrameKind, HEADER_BYTES};
use super::handshake::{Hello, HelloError, Refused};
use crate::socket::Socket;
use engine::disk::{BLOCK, Buffer, BufferPool, IO_BYTES_MAX};
use engine::ids::NodeId;
use engine::rng::Rng;
use std::io;
use std::time::Duration;

/// The longest text of a refusal that is read.
const REFUSAL_BYTES_MAX: usize = 1024;
/// First and longest wait before a link is tried again. A restarted node is back within the
/// longest; a node that is away costs its peers one packet in that time.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

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
    #[error("a {found:?} frame where {expected:?} was to come")]
    Unexpected { found: FrameKind, expected: FrameKind },
}

/// A frame that came.
#[derive(Debug)]
pub struct Incoming {
    pub kind: FrameKind,
    pub body: Vec<u8>,
    /// The entry's bytes, in pieces of at most 1 MiB that can be written as they are; empty if
    /// there is none. Not verified: that is the engine's, once.
    pub entry: Vec<Buffer>,
}

/// A frame to be sent; the entry's buffers are the leader's own, shared.
#[derive(Debug)]
pub struct Outgoing {
    pub kind: FrameKind,
    pub body: Vec<u8>,
    pub entry: Vec<Buffer>,
}

impl Outgoing {
    /// What it takes of the link's bound.
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + self.body.len() + self.entry_bytes()
    }

    fn entry_bytes(&self) -> usize {
        self.entry.iter().map(|piece| piece.len()).sum()
    }
}

/// Reads one frame.
pub async fn receive(socket: &Socket, pool: &BufferPool) -> Result<Incoming, LinkError> {
    let mut header = [0; HEADER_BYTES];
    read_exact(socket, &mut header).await?;
    let coming = frame::read_header(&header)?;
    let mut body = vec![0; coming.body_bytes];
    read_exact(socket, &mut body).await?;
    coming.check_body(&body)?;
    let mut entry = Vec::with_capacity(coming.entry_bytes.div_ceil(IO_BYTES_MAX));
    let mut left = coming.entry_bytes;
    while left > 0 {
        let bytes = left.min(IO_BYTES_MAX);
        assert!(bytes.is_multiple_of(BLOCK), "the header was checked");
        let mut piece = pool.take(bytes);
        read_exact(socket, &mut piece[..bytes]).await?;
        entry.push(piece.seal(bytes));
        left -= bytes;
    }
    Ok(Incoming { kind: coming.kind, body, entry })
}

/// Sends all of a turn's frames with as few calls as the socket takes.
pub async fn send(socket: &Socket, frames: &[Outgoing]) -> Result<(), LinkError> {
    let header = |frame: &Outgoing| frame::header(frame.kind, &frame.body, frame.entry_bytes());
    let headers: Vec<[u8; HEADER_BYTES]> = frames.iter().map(header).collect();
    let mut pieces: Vec<&[u8]> = Vec::with_capacity(frames.len() * 3);
    for (header, frame) in headers.iter().zip(frames) {
        pieces.push(header);
        pieces.push(&frame.body);
        pieces.extend(frame.entry.iter().map(|piece| &piece[..]));
    }
    pieces.retain(|piece| !piece.is_empty());
    Ok(socket.write_all(&pieces, |_| ()).await?)
}

/// Says hello, reads the other's and judges it; a refusal is told to the other end.
pub async fn greet(
    socket: &Socket,
    pool: &BufferPool,
    ours: &Hello,
    is_listed: impl Fn(NodeId) -> bool,
) -> Result<Hello, LinkError> {
    send(socket, &[Outgoing { kind: FrameKind::Hello, body: ours.encode(), entry: Vec::new() }]).await?;
    let incoming = receive(socket, pool).await?;
    let theirs = match incoming.kind {
        FrameKind::Hello => Hello::decode(&incoming.body)?,
        FrameKind::Refusal => return Err(LinkError::RefusedThere(refusal_text(&incoming.body))),
        found => return Err(LinkError::Unexpected { found, expected: FrameKind::Hello }),
    };
    if let Err(refused) = ours.judge(&theirs, is_listed) {
        let body = refused.to_string().into_bytes();
        // The other end may be gone: what counts is this end's reason.
        let _ = send(socket, &[Outgoing { kind: FrameKind::Refusal, body, entry: Vec::new() }]).await;
        return Err(refused.into());
    }
    Ok(theirs)
}

/// A refusal's text as it may stand in a log: bounded, without control characters.
pub fn refusal_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(REFUSAL_BYTES_MAX)]);
    text.chars().filter(|character| !character.is_control()).collect()
}

async fn read_exact(socket: &Socket, into: &mut [u8]) -> Result<(), LinkError> {
    let mut filled = 0;
    while filled < into.len() {
        match socket.read(&mut into[filled..], || ()).await? {
            0 => return Err(LinkError::Closed),
            read => filled += read,
        }
    }
    Ok(())
}

/// How long to wait before the next try: doubling, and by half at random, so that the links of a
/// node that came back do not all try at once.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    rng: Rng,
}

impl Backoff {
    pub fn new(seed: u64) -> Self {
        Self { next: BACKOFF_FIRST, rng: Rng::new(seed) }
    }

    pub fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(BACKOFF_MAX);
        let half_us = whole.as_micros() as u64 / 2;
        Duration::from_micros(half_us + self.rng.below(half_us + 1))
    }

    /// The link stood: the next failure begins anew.
    pub fn reset(&mut self) {
        self.next = BACKOFF_FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::handshake::VERSIONS;
    use engine::ids::{ClusterId, Incarnation, ShardId};
    use glommio::LocalExecutor;
    use glommio::net::{TcpListener, TcpStream};

    fn with_pair<F: Future<Output = ()>>(test: impl FnOnce(Socket, Socket, BufferPool) -> F) {
        LocalExecutor::default().run(async {
            let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
            let address = listener.local_addr().expect("an address");
            let (called, calling) =
                futures_lite::future::zip(listener.accept(), TcpStream::connect(address)).await;
            let (called, calling) = (called.expect("accepted"), calling.expect("connected"));
            test(Socket::new(called), Socket::new(calling), BufferPool::new(8 << 20)).await;
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
        }
    }

    #[test]
    fn frames_and_entries_arrive_as_they_were_sent() {
        with_pair(|one, other, pool| async move {
            // Three pieces that the receiver cuts otherwise: 64 KiB, 1 MiB, 4 KiB.
            let piece = |bytes: usize, byte: u8| pool.copy_of(&vec![byte; bytes]);
            let entry = vec![piece(64 << 10, 1), piece(1 << 20, 2), piece(4096, 3)];
            let expected: Vec<u8> = entry.iter().flat_map(|piece| piece.to_vec()).collect();
            let frames = [
                Outgoing { kind: FrameKind::Message, body: b"one".to_vec(), entry },
                Outgoing { kind: FrameKind::Message, body: Vec::new(), entry: Vec::new() },
            ];
            let (sent, (first, second)) = futures_lite::future::zip(send(&one, &frames), async {
                (receive(&other, &pool).await, receive(&other, &pool).await)
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
            let told = receive(&one, &pool).await.expect("the reason");
            assert_eq!(told.kind, FrameKind::Refusal);
            assert_eq!(refusal_text(&told.body), "node 1 is not in --peers of this one");
        });
    }

    #[test]
    fn garbage_and_an_early_end_are_errors() {
        with_pair(|one, other, pool| async move {
            one.write_all(&[b"GET / HTTP/1.1\r\nHost: duramen\r\n\r\n"], |_| ()).await.expect("written");
            let error = receive(&other, &pool).await.expect_err("garbage");
            assert!(matches!(error, LinkError::Frame(FrameError::Magic(_))), "{error}");
        });
        with_pair(|one, other, pool| async move {
            let head = frame::header(FrameKind::Message, b"", 8192);
            one.write_all(&[&head, &[0; 5000]], |_| ()).await.expect("written");
            one.shutdown();
            assert!(matches!(receive(&other, &pool).await, Err(LinkError::Closed)));
            assert_eq!(pool.used_bytes(), 0);
        });
    }

    #[test]
    fn the_wait_grows_within_its_bounds_and_begins_anew() {
        let mut backoff = Backoff::new(1);
        let waits: Vec<Duration> = (0..20).map(|_| backoff.wait()).collect();
        assert!(waits[0] >= BACKOFF_FIRST / 2 && waits[0] <= BACKOFF_FIRST);
        assert!(waits[10..].iter().all(|wait| *wait >= BACKOFF_MAX / 2 && *wait <= BACKOFF_MAX));
        assert!(waits[10..].windows(2).any(|pair| pair[0] != pair[1]));
        backoff.reset();
        assert!(backoff.wait() <= BACKOFF_FIRST);
    }
}
