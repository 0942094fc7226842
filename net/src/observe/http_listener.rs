//! The HTTP port's connections: a bounded number, each for a bounded time, within TLS where that is asked for.

use super::http_access::HttpClient;
use crate::tls::live::LiveTls;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Connections at once, those in their handshake included; others wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
/// A scraper that keeps its connection opens a new one then.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(120);
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long accepting rests when there are no descriptors left.
const NO_DESCRIPTORS_PAUSE: Duration = Duration::from_millis(100);

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection; it has its place until it is dropped, and ends when its time is over.
pub struct HttpStream {
    stream: Stream,
    client: HttpClient,
    over: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

/// Gives connections that may be asked.
pub struct HttpListener {
    address: SocketAddr,
    ready: mpsc::Receiver<HttpStream>,
}

impl HttpListener {
    /// Starts a task that accepts; on the runtime that it is called on.
    pub fn start(listener: TcpListener, tls: Option<Arc<LiveTls>>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (to, ready) = mpsc::channel(CONNECTIONS_MAX);
        tokio::spawn(accept(listener, tls, to));
        Ok(Self { address, ready })
    }
}

async fn accept(listener: TcpListener, tls: Option<Arc<LiveTls>>, to: mpsc::Sender<HttpStream>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("HTTP: a connection was not accepted: {error}");
                sleep(NO_DESCRIPTORS_PAUSE).await;
                continue;
            }
        };
        let (tls, to) = (tls.clone(), to.clone());
        tokio::spawn(async move {
            let due = Instant::now() + CONNECTION_TIME_MAX;
            match secured(stream, tls, due.min(Instant::now() + HANDSHAKE_TIME_MAX)).await {
                Ok((stream, is_certified)) => {
                    let client = HttpClient { address, is_certified };
                    let over = Box::pin(sleep_until(due));
                    // Nobody takes it when the node ends.
                    let _ = to.send(HttpStream { stream, client, over, _place: place }).await;
                }
                Err(error) => tracing::debug!(peer = %address, "HTTP: no TLS: {error}"),
            }
        });
    }
}

/// The stream, and whether its client showed a certificate.
async fn secured(stream: TcpStream, tls: Option<Arc<LiveTls>>, due: Instant) -> io::Result<(Stream, bool)> {
    let Some(tls) = tls else { return Ok((Stream::Plain(stream), false)) };
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.current().http));
    let shaken = timeout_at(due, acceptor.accept(stream)).await;
    let stream = shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let is_certified = stream.get_ref().1.peer_certificates().is_some_and(|shown| !shown.is_empty());
    Ok((Stream::Tls(Box::new(stream)), is_certified))
}

impl Listener for HttpListener {
    type Io = HttpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (HttpStream, SocketAddr) {
        let stream = self.ready.recv().await.expect("the task that accepts never ends");
        let address = stream.client.address;
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, HttpListener>> for HttpClient {
    fn connect_info(stream: IncomingStream<'_, HttpListener>) -> Self {
        stream.io().client
    }
}

impl HttpStream {
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        self.over.as_mut().poll(context).is_ready()
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_nothing_keeps_nobody_out_and_no_more_than_the_bound_are_open() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound");
            let mut listener = HttpListener::start(listener, None).expect("started");
            let mut open = Vec::new();
            for _ in 0..CONNECTIONS_MAX + 1 {
                open.push(TcpStream::connect(address).await.expect("the kernel accepts"));
            }
            let mut served = Vec::new();
            for _ in 0..CONNECTIONS_MAX {
                served.push(Listener::accept(&mut listener).await.0);
            }
            assert!(!served[0].client.is_certified);
            let one_more = Listener::accept(&mut listener);
            tokio::pin!(one_more);
            let nobody = tokio::time::timeout(Duration::from_millis(50), &mut one_more).await;
            assert!(nobody.is_err(), "all places are taken");
            served.pop();
            one_more.await;
        });
    }
}
