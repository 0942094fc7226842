//! The HTTP thread: health and metrics, away from the shards.

use super::http_access::{self, HttpAccess, HttpClient};
use super::http_listener::HttpListener;
use crate::observe::exposition::Form;
use crate::observe::health_row::{HealthRow, now_ms};
use crate::observe::status::{Phase, Status};
use crate::observe::{may_stop, metrics};
use crate::process::refusal::Refusal;
use crate::tls::live::LiveTls;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// Opens the listener and starts the thread. Returns the address, for a port that was 0.
pub fn start(
    address: SocketAddr,
    tls: Option<Arc<LiveTls>>,
    access: HttpAccess,
    status: Arc<Status>,
) -> Result<SocketAddr, Refusal> {
    let bind = || -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let failed = |error: io::Error| {
        Refusal::environment(
            format!("cannot listen on {address} for HTTP: {error}"),
            "give --http-listen another address",
        )
    };
    let (listener, address) = bind().map_err(failed)?;
    let pages = router(status, access);
    std::thread::Builder::new()
        .name("http".into())
        .spawn(move || run(listener, tls, pages))
        .map_err(failed)?;
    Ok(address)
}

fn run(listener: TcpListener, tls: Option<Arc<LiveTls>>, pages: Router) {
    let serve = || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = HttpListener::start(tokio::net::TcpListener::from_std(listener)?, tls)?;
            axum::serve(listener, pages.into_make_service_with_connect_info::<HttpClient>()).await
        })
    };
    if let Err(error) = serve() {
        tracing::error!(%error, "the HTTP thread ended: no health, no metrics; clients are served on");
    }
}

fn router(status: Arc<Status>, access: HttpAccess) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/startupz", get(started))
        .route("/maystop", get(can_stop))
        .route("/metrics", get(metrics_page))
        .with_state(status)
        .layer(from_fn_with_state(access, http_access::admit))
}

fn health(good: bool, phase: Phase) -> (StatusCode, String) {
    let code = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("{}\n", phase.name()))
}

/// Good while every shard answers clients and what this node needs has a quorum; `?verbose` says what
/// else is wrong.
async fn ready(State(status): State<Arc<Status>>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let (phase, is_ready) = (status.phase(), status.is_ready());
    let (code, mut text) = health(is_ready, phase);
    if phase == Phase::Serving && !is_ready {
        text = "no quorum\n".to_owned();
    }
    let is_verbose =
        query.is_some_and(|query| query.split('&').any(|key| key.split('=').next() == Some("verbose")));
    if is_verbose {
        let now_ms = now_ms();
        HealthRow::of(&status.findings()).iter().for_each(|row| text.push_str(&row.text(now_ms)));
    }
    (code, text)
}

/// Good once recovery is over.
async fn started(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let phase = status.phase();
    health(phase != Phase::Starting, phase)
}

/// Good while this node can be stopped without a journal losing its quorum or its only whole copy, as far as it
/// knows; else the reasons, one a line.
async fn can_stop(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let phase = status.phase();
    if phase != Phase::Serving {
        return health(false, phase);
    }
    let standing = status.standing();
    let stopping = [standing.node].into();
    let reasons = may_stop::reasons(&standing, &may_stop::unwell_here(&status.findings()), &stopping);
    if reasons.is_empty() {
        return (StatusCode::OK, "may stop\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.iter().map(|reason| format!("{reason}\n")).collect())
}

async fn metrics_page(State(status): State<Arc<Status>>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let form = Form::accepted(accept);
    ([(header::CONTENT_TYPE, form.content_type())], form.write(metrics::page(&status)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::health::{Finding, Topics, What};
    use engine::ids::{JournalId, ShardId};
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("connected");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    }

    #[test]
    fn each_phase_has_its_answers() {
        let status = Status::new(1);
        let address = "127.0.0.1:0".parse().expect("an address");
        let address = start(address, None, HttpAccess::default(), status.clone()).expect("started");
        assert!(get(address, "/livez").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 503"));
        assert!(get(address, "/startupz").starts_with("HTTP/1.1 503"));
        status.shard_ready();
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/startupz").ends_with("serving\n"));
        assert!(get(address, "/readyz?verbose").ends_with("\r\n\r\nserving\n"));
        let (node, journal) = (None, Some(JournalId(4)));
        let what = What::NoQuorum { heard: 1, replicas: 3 };
        let topics = Topics { names: vec!["orders".into()], more: 0 };
        let lost = Finding { what, node, journal, since_ms: 1000, unready: true, topics };
        status.publish_findings(ShardId(0), vec![lost]);
        assert!(
            get(address, "/readyz").ends_with("no quorum\n") && get(address, "/readyz").contains(" 503 ")
        );
        let said = get(address, "/readyz?verbose");
        assert!(
            said.contains("journal 4 (orders): no quorum") && said.contains("1970-01-01 00:00:01"),
            "{said}"
        );
        assert!(get(address, "/startupz").starts_with("HTTP/1.1 200"), "it has started");
        assert!(get(address, "/metrics").contains("duramen_health{what=\"no_quorum\"} 1\n"));
        status.publish_findings(ShardId(0), Vec::new());
        assert!(get(address, "/metrics").contains("duramen_health{what=\"no_quorum\"} 0\n"));
        status.request_stop();
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 503"));
        assert!(get(address, "/startupz").starts_with("HTTP/1.1 200"));
        let page = get(address, "/metrics");
        assert!(page.contains("text/plain; version=0.0.4") && !page.contains("# EOF"), "{page}");
        let page = get(address, "/metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\nX: ");
        assert!(page.contains("application/openmetrics-text") && page.ends_with("# EOF\n"), "{page}");
        assert!(get(address, "/nothing").starts_with("HTTP/1.1 404"));
    }
}
