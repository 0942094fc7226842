//! Who may ask over HTTP: everybody, or who shows a certificate or has the token.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A token, as a file has it: no log and no message shows it.
#[derive(Clone)]
pub struct HttpToken(Arc<Zeroizing<String>>);

impl HttpToken {
    pub fn new(text: String) -> Self {
        assert!(!text.is_empty(), "an empty token is everybody's");
        Self(Arc::new(Zeroizing::new(text)))
    }

    fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for HttpToken {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("HttpToken(…)")
    }
}

/// Whom the port serves.
#[derive(Clone, Debug, Default)]
pub struct HttpAccess {
    /// Without one of these nobody sees anything but what is open.
    pub asks: bool,
    pub token: Option<HttpToken>,
    /// Whether the node is alive and ready everybody may ask.
    pub open_probes: bool,
}

/// A connection, as the pages see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpClient {
    pub address: SocketAddr,
    /// It showed a certificate that counts.
    pub is_certified: bool,
}

const PROBES: [&str; 3] = ["/livez", "/readyz", "/startupz"];

impl HttpAccess {
    fn admits(&self, client: HttpClient, request: &Request) -> bool {
        // What is wrong in words is not for everybody.
        let is_probe = PROBES.contains(&request.uri().path()) && request.uri().query().is_none();
        let bearer = || {
            let given = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
            let (scheme, token) = given.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        };
        !self.asks
            || (self.open_probes && is_probe)
            || client.is_certified
            || self.token.as_ref().is_some_and(|token| bearer().is_some_and(|given| token.is(given)))
    }
}

/// Lets through who may ask.
pub async fn admit(
    State(access): State<HttpAccess>,
    ConnectInfo(client): ConnectInfo<HttpClient>,
    request: Request,
    next: Next,
) -> Response {
    if access.admits(client, &request) {
        return next.run(request).await;
    }
    tracing::debug!(peer = %client.address, path = request.uri().path(), "HTTP: no certificate and no token");
    let told = "a certificate of this cluster's authority, or a token, is asked for\n";
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], told).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn without_token_or_certificate_there_are_at_most_probes() {
        let request = |path: &str, authorization: Option<&str>| {
            let mut request = Request::builder().uri(path);
            if let Some(given) = authorization {
                request = request.header("Authorization", given);
            }
            request.body(Body::empty()).expect("a request")
        };
        let address = SocketAddr::from(([10, 0, 0, 7], 1));
        let (nobody, known) =
            (HttpClient { address, is_certified: false }, HttpClient { address, is_certified: true });
        let token = Some(HttpToken::new("abc".to_owned()));
        let mut access = HttpAccess { asks: true, token, open_probes: false };
        assert!(!format!("{access:?}").contains("abc"));
        for (path, given, may) in [
            ("/metrics", None, false),
            ("/metrics", Some("Bearer abc"), true),
            ("/metrics", Some("bearer abc"), true),
            ("/metrics", Some("Bearer abd"), false),
            ("/metrics", Some("Bearer "), false),
            ("/metrics", Some("Basic abc"), false),
            ("/readyz", None, false),
        ] {
            assert_eq!(access.admits(nobody, &request(path, given)), may, "{path} {given:?}");
            assert!(access.admits(known, &request(path, given)));
        }
        access.open_probes = true;
        assert!(access.admits(nobody, &request("/readyz", None)));
        assert!(!access.admits(nobody, &request("/readyz?verbose", None)));
        assert!(!access.admits(nobody, &request("/metrics", None)));
        access.token = None;
        assert!(!access.admits(nobody, &request("/metrics", Some("Bearer "))));
        assert!(HttpAccess::default().admits(nobody, &request("/metrics", None)));
    }
}
