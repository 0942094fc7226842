//! What comes first on an empty folder with `--join`: asking a member who the others are. Blocks, before any shard.

use crate::access::how::Access;
use crate::access::stream::AccessStream;
use crate::blocking::read_by;
use crate::peer::config::ClusterConfig;
use crate::peer::frame::{self, FrameKind, HEADER_BYTES};
use crate::peer::join::{JoinAnswer, JoinQuestion, JoinStanding};
use crate::peer::link::refusal_text;
use crate::peer::met_nodes::MetNodes;
use crate::peer::secure::PeerTls;
use crate::process::address::Address;
use crate::process::refusal::Refusal;
use crate::tls::live::LiveTls;
use engine::ids::NodeId;
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A member that starts at the same moment is waited for.
const ASK_MAX: Duration = Duration::from_secs(10);
/// One try: a connection and an answer.
const TRY_MAX: Duration = Duration::from_secs(3);
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Why there is no answer.
enum NoAnswer {
    /// It may be there in a moment.
    Unreachable(io::Error),
    Refused(String),
}

/// Who the members are.
pub fn ask(cluster: &ClusterConfig, own: NodeId, tls: Option<&Arc<LiveTls>>) -> Result<JoinAnswer, Refusal> {
    let at = cluster.join.as_ref().expect("only who joins asks");
    let deadline = Instant::now() + ASK_MAX;
    loop {
        let answer = match ask_once(at, own, tls.filter(|_| cluster.tls != PeerTls::Off)) {
            // Its links may still be in the clear.
            Err(NoAnswer::Unreachable(_)) if cluster.tls == PeerTls::Prefer => ask_once(at, own, None),
            other => other,
        };
        match answer {
            Ok(answer) => return Ok(answer),
            Err(NoAnswer::Unreachable(_)) if Instant::now() < deadline => std::thread::sleep(ASK_AGAIN),
            Err(NoAnswer::Unreachable(error)) => {
                return Err(Refusal::environment(
                    format!("--join {at}: no member of a cluster answers there: {error}"),
                    "give --join the peer address of a running member: what its --peer-listen or --peers says",
                ));
            }
            Err(NoAnswer::Refused(text)) => {
                return Err(Refusal::refused(
                    format!("--join {at}: the member there refuses: {text}"),
                    "correct what it says; nothing of the cluster was changed",
                ));
            }
        }
    }
}

/// Whom this node may be one of, as the file of met nodes has them.
pub fn members(answer: JoinAnswer, own: NodeId) -> Result<MetNodes, Refusal> {
    let mut members = answer.members;
    members.remove(&own);
    if members.is_empty() {
        return Err(Refusal::refused(
            "--join: the member that answered names no other",
            "give each node its own --node-id",
        ));
    }
    Ok(members)
}

/// What is still to be done by an operator, where there is something.
pub fn told(standing: JoinStanding, own: NodeId) -> String {
    match standing {
        JoinStanding::Unknown => format!("nobody said yet that node {own} may come"),
        JoinStanding::Invited => format!("node {own} is invited"),
        JoinStanding::Member => format!("node {own} was a member before, with another folder"),
    }
}

fn ask_once(at: &Address, own: NodeId, tls: Option<&Arc<LiveTls>>) -> Result<JoinAnswer, NoAnswer> {
    let deadline = Instant::now() + TRY_MAX;
    let unreachable = NoAnswer::Unreachable;
    let socket = at.resolve("--join").map_err(|refusal| unreachable(io::Error::other(refusal.what)))?;
    let tcp = TcpStream::connect_timeout(&socket, TRY_MAX).map_err(unreachable)?;
    let config = tls.map(|tls| Arc::clone(&tls.current().peers().calling));
    let access = Access { tls: config, login: None };
    // The name is not looked at: a node is named by its certificate.
    let mut stream = AccessStream::open(tcp, "node", &access, "", deadline).map_err(unreachable)?;
    let question = JoinQuestion { node: own };
    stream.set_write_timeout(TRY_MAX).map_err(unreachable)?;
    stream.write_all(&frame::small(FrameKind::Join, &question.encode())).map_err(unreachable)?;
    stream.flush().map_err(unreachable)?;
    loop {
        let (kind, body) = read_frame(&mut stream, deadline).map_err(unreachable)?;
        match kind {
            // Said before it knows what is asked.
            FrameKind::Hello => {}
            FrameKind::Members => {
                return JoinAnswer::decode(&body)
                    .map_err(|error| NoAnswer::Refused(format!("its answer cannot be read: {error}")));
            }
            FrameKind::Refusal => return Err(NoAnswer::Refused(refusal_text(&body))),
            kind => return Err(NoAnswer::Refused(format!("a {kind:?} frame is no answer"))),
        }
    }
}

fn read_frame(stream: &mut AccessStream, deadline: Instant) -> io::Result<(FrameKind, Vec<u8>)> {
    let invalid = |error: frame::FrameError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let mut header = [0; HEADER_BYTES];
    read_by(stream, &mut header, deadline)?;
    let coming = frame::read_header(&header).map_err(invalid)?;
    let mut body = vec![0; coming.body_bytes];
    read_by(stream, &mut body, deadline)?;
    coming.check_body(&body).map_err(invalid)?;
    Ok((coming.kind, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    /// A member that answers the next question with these frames.
    fn answered(frames: Vec<u8>) -> Result<JoinAnswer, NoAnswer> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("bound");
        let member = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a node");
            let mut question = vec![0; HEADER_BYTES + JoinQuestion { node: NodeId(4) }.encode().len()];
            stream.read_exact(&mut question).expect("a question");
            stream.write_all(&frames).expect("written");
        });
        let answer = ask_once(&Address { host: at.ip().to_string(), port: at.port() }, NodeId(4), None);
        member.join().expect("it answered");
        answer
    }

    #[test]
    fn a_member_tells_the_others_or_why_not() {
        let members: MetNodes = [(NodeId(1), Address { host: "one".to_owned(), port: 9 })].into();
        let told = JoinAnswer { standing: JoinStanding::Invited, members };
        let hello = frame::small(FrameKind::Hello, b"whatever it is");
        let whole = [hello, frame::small(FrameKind::Members, &told.encode())].concat();
        assert_eq!(answered(whole).ok(), Some(told));
        let refusal = frame::small(FrameKind::Refusal, b"no");
        assert!(matches!(answered(refusal), Err(NoAnswer::Refused(text)) if text == "no"));
        assert!(matches!(answered(b"HTTP/1.1 400\r\n".to_vec()), Err(NoAnswer::Unreachable(_))));
    }

    #[test]
    fn who_would_join_itself_is_told() {
        let itself: MetNodes = [(NodeId(4), Address { host: "four".to_owned(), port: 9 })].into();
        let answer = JoinAnswer { standing: JoinStanding::Member, members: itself };
        assert!(members(answer, NodeId(4)).is_err());
    }
}
