//! A broker's metrics page, read over HTTP: figures that Kafka's protocol has no place for.

use crate::access::how::Access;
use crate::process::address::Address;
use crate::process::refusal::Refusal;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// A page is some kilobytes per journal; what is longer is no metrics page.
const PAGE_BYTES_MAX: u64 = 64 << 20;

/// The samples of a page: name (without prefix), labels and value.
#[derive(Debug, Default)]
pub struct Page(Vec<Sample>);

#[derive(Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Page {
    pub fn get(at: &PageAddress, access: &Access, timeout: Duration) -> Result<Self, Refusal> {
        let wrong = |why: String| {
            let what = format!("{}:{}: /metrics: {why}", at.address.host, at.address.port);
            Refusal::environment(what, "name a broker's --http-listen address with --metrics")
        };
        let text = fetch(at, access, timeout).map_err(|error| wrong(error.to_string()))?;
        let no_http =
            || wrong("no HTTP answer: is this a Kafka port (--listen) and not --http-listen?".to_owned());
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(no_http)?;
        if head.split(' ').nth(1) == Some("401") {
            return Err(wrong(
                "it asks for a certificate (--tls-cert) or a token (--metrics-token-file)".to_owned(),
            ));
        }
        if head.split(' ').nth(1) != Some("200") {
            return Err(wrong(head.lines().next().unwrap_or_default().to_owned()));
        }
        Ok(Self::parse(body))
    }

    pub fn parse(body: &str) -> Self {
        Self(body.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// All samples of one name, `duramen_` left out.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }
}

/// Where a page is, and how it is asked for.
#[derive(Clone, Debug)]
pub struct PageAddress {
    pub address: Address,
    is_tls: bool,
    token: Option<Zeroizing<String>>,
}

impl PageAddress {
    /// `HOST:PORT`, or `https://HOST:PORT` within TLS.
    pub fn parse(text: &str, access: &Access, token: Option<&str>) -> Result<Self, Refusal> {
        let (is_tls, place) = match text.strip_prefix("https://") {
            Some(place) => (true, place.trim_end_matches('/')),
            None => (false, text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/')),
        };
        if is_tls && access.tls.is_none() {
            let what = format!("--metrics {text} is within TLS, and nobody is trusted");
            return Err(Refusal::usage(what, "add --tls-ca FILE, with whom to trust"));
        }
        if !is_tls && token.is_some() {
            let what = format!("--metrics {text}: the token would go over the network in the clear");
            return Err(Refusal::usage(
                what,
                format!("write https://{place}, or leave out --metrics-token-file"),
            ));
        }
        let token = token.map(|token| Zeroizing::new(token.to_owned()));
        Ok(Self { address: Address::parse("--metrics", place)?, is_tls, token })
    }
}

fn fetch(at: &PageAddress, access: &Access, timeout: Duration) -> io::Result<String> {
    let address = &at.address;
    let to =
        (address.host.as_str(), address.port).to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&to, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    match access.tls.as_ref().filter(|_| at.is_tls) {
        None => exchange(&mut stream, at),
        Some(config) => {
            let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
            let mut session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
            exchange(&mut rustls::Stream::new(&mut session, &mut stream), at)
        }
    }
}

fn exchange(stream: &mut (impl Read + Write), at: &PageAddress) -> io::Result<String> {
    let token = at.token.as_ref().map_or_else(Default::default, |token| {
        Zeroizing::new(format!("Authorization: Bearer {}\r\n", token.as_str()))
    });
    let (host, token) = (&at.address.host, token.as_str());
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {host}\r\n{token}Connection: close\r\n\r\n")?;
    stream.flush()?;
    let mut text = String::new();
    stream.take(PAGE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// `duramen_name{label="value",...} 1.5`; label values here hold no quotes or commas.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
    let labels = labels.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect();
    let name = name.strip_prefix("duramen_")?.to_owned();
    Some(Sample { name, labels, value: value.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_names_labels_and_values() {
        let page = Page::parse(
            "# HELP x y\nduramen_ready 1\nduramen_journal_durable_index{shard=\"1\",journal=\"3\"} 41\n# EOF\n",
        );
        assert_eq!(page.all("ready").map(|sample| sample.value).collect::<Vec<_>>(), [1.0]);
        let durable = page.all("journal_durable_index").next().expect("there");
        assert_eq!((durable.labels["shard"].as_str(), durable.labels["journal"].as_str()), ("1", "3"));
        assert_eq!(durable.value, 41.0);
        assert_eq!(page.all("nothing").count(), 0);
    }
}
