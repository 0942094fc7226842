//! The HTTP port as the options have it: beyond this machine within TLS, and for who shows a certificate or has the token.

use super::address::Address;
use super::node_config::{NodeConfig, PEER_LISTEN, share_a_host};
use super::options::Switch;
use super::refusal::Refusal;
use super::secret_file;
use crate::observe::http_access::{HttpAccess, HttpToken};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Shorter ones are guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// As they were given.
#[derive(Clone, Debug, Default)]
pub struct HttpOptions {
    pub tls: Option<Switch>,
    pub token_file: Option<PathBuf>,
    pub open_probes: bool,
    pub insecure: bool,
}

/// What holds together.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    pub listen: SocketAddr,
    pub tls: bool,
    pub token_file: Option<PathBuf>,
    pub open_probes: bool,
    pub insecure: bool,
}

impl HttpOptions {
    pub fn check(self, listen: SocketAddr, has_certificates: bool) -> Result<HttpConfig, Refusal> {
        let Self { tls, token_file, open_probes, insecure } = self;
        let is_beyond = !listen.ip().is_loopback();
        let tls = tls.map_or(is_beyond && !insecure, |switch| switch == Switch::On);
        if tls && !has_certificates {
            let what = format!("--http-listen {listen} is to be within TLS, and there are no certificates");
            let remedy = "give --tls-folder DIR (`duramen ca node ID --ca DIR --host NAME` makes one), listen on \
                          127.0.0.1, or give --insecure-http: then everybody may read health and metrics";
            return Err(Refusal::usage(what, remedy));
        }
        if is_beyond && !tls && !insecure {
            let what = format!("--http-listen {listen} is beyond this machine, and in the clear");
            let remedy = "leave out --http-tls off, listen on 127.0.0.1, or give --insecure-http: then everybody may \
                          read health and metrics";
            return Err(Refusal::usage(what, remedy));
        }
        assert!(!is_beyond || tls || insecure, "in the clear beyond this machine only where that was said");
        Ok(HttpConfig { listen, tls, token_file, open_probes, insecure })
    }
}

impl HttpConfig {
    /// Reads the token.
    pub fn access(&self) -> Result<HttpAccess, Refusal> {
        let token = self.token_file.as_deref().map(secret_file::first_line).transpose()?;
        if let Some(short) = token.as_ref().filter(|token| token.trim().len() < TOKEN_BYTES_MIN) {
            let file = self.token_file.as_deref().unwrap_or(std::path::Path::new("-")).display();
            let what = format!("{file}: a token of {} bytes can be guessed", short.trim().len());
            return Err(Refusal::usage(what, "make one such as `openssl rand -hex 32` does"));
        }
        let asks = !self.insecure && (self.tls || token.is_some());
        let token = token.map(|token| HttpToken::new(token.trim().to_owned()));
        Ok(HttpAccess { asks, token, open_probes: self.open_probes })
    }

    pub fn is_open_beyond_loopback(&self) -> bool {
        self.insecure && !self.listen.ip().is_loopback()
    }
}

/// Where the port is, apart from those of the listeners.
pub(super) fn http_listen(asked: Option<&str>, node: &NodeConfig) -> Result<SocketAddr, Refusal> {
    let socket =
        Address::parse("--http-listen", asked.unwrap_or("127.0.0.1:9644"))?.resolve("--http-listen")?;
    for (option, listen) in node.listens() {
        let first = listen.port();
        let within = (first..=first + (node.shards - 1)).contains(&socket.port());
        if within && share_a_host(socket, listen) {
            let what = if option == PEER_LISTEN { "peer port" } else { "port" };
            let shard = socket.port() - first;
            let why = format!("--http-listen {socket} is also the {what} of shard {shard} ({option})");
            return Err(Refusal::usage(why, "use another port for one of them"));
        }
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: HttpOptions, listen: &str, has_certificates: bool) -> Result<HttpConfig, Refusal> {
        options.check(listen.parse().expect("an address"), has_certificates)
    }

    #[test]
    fn beyond_loopback_there_is_tls_and_somebody_known_or_an_explicit_no() {
        let (near, far) = ("127.0.0.1:9644", "0.0.0.0:9644");
        let plain = check(HttpOptions::default(), near, false).expect("good");
        assert!(!plain.tls && !plain.access().expect("open").asks);
        for (options, certificates) in [
            (HttpOptions::default(), false),
            (HttpOptions { tls: Some(Switch::Off), ..HttpOptions::default() }, true),
            (HttpOptions { tls: Some(Switch::On), insecure: true, ..HttpOptions::default() }, false),
        ] {
            let refused = check(options, far, certificates).expect_err("refused");
            assert!(refused.to_string().contains("--insecure-http"), "{refused}");
        }
        let good = check(HttpOptions::default(), far, true).expect("good");
        assert!(good.tls && good.access().expect("asks").asks);
        let open = HttpOptions { insecure: true, ..HttpOptions::default() };
        let open = check(open, far, true).expect("explicit");
        assert!(!open.tls && open.is_open_beyond_loopback() && !open.access().expect("open").asks);
    }

    #[test]
    fn a_token_that_can_be_guessed_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let config = HttpOptions { token_file: Some(path.clone()), ..HttpOptions::default() };
        let config = check(config, "127.0.0.1:1", false).expect("good");
        assert!(config.access().is_err(), "there is none");
        crate::tls::files::write(&path, "short\n").expect("written");
        assert!(config.access().expect_err("short").to_string().contains("guessed"));
        crate::tls::files::write(&path, "0123456789abcdef\n").expect("written");
        assert!(config.access().expect("good").asks);
    }
}
