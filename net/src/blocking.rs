//! Reads from blocking sockets that end in time, for commands and tools.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A stream of which a read can be made to end in time.
pub trait TimedStream: Read {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
}

impl TimedStream for TcpStream {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        TcpStream::set_read_timeout(self, Some(timeout))
    }
}

/// Fills `to`, however the bytes trickle in, or fails at the deadline.
pub fn read_by(stream: &mut impl TimedStream, to: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut filled = 0;
    while filled < to.len() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(left)?;
        match stream.read(&mut to[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn bytes_that_trickle_in_do_not_move_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (mut other, _) = listener.accept().expect("connected");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Ends when the reader has given up and closed.
                while other.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let begun = Instant::now();
            let read = read_by(&mut stream, &mut vec![0; 1 << 20], begun + Duration::from_millis(200));
            drop(stream);
            let kind = read.expect_err("never whole").kind();
            assert!(matches!(kind, io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{kind:?}");
            assert!(begun.elapsed() < Duration::from_secs(10));
        });
    }
}
