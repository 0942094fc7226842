//! Where this node listens for clients: `--listen` and the listeners with a name, from options to addresses that
//! hold together.

use crate::kafka::listener::Listener;
use crate::kafka::security_protocol::SecurityProtocol;
use crate::process::address::Address;
use crate::process::refusal::Refusal;
use engine::shard::{Advertised, AdvertisedListener, LISTENERS_MAX, PEER_LISTENER};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// A listener of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    pub listener: Arc<Listener>,
    /// As it was given.
    pub given: Address,
    /// Of shard 0; shard s listens on port + s.
    pub listen: SocketAddr,
    /// What clients are told to connect to, for shard 0.
    pub advertised: Address,
}

/// What the options give: the plaintext listener first, then those with a name of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners(pub Vec<ListenerConfig>);

/// One place is the listener's for other nodes.
const NAMED_MAX: usize = LISTENERS_MAX - 1;
/// The metadata's bound.
const NAME_BYTES_MAX: usize = 255;

const FORM: &str = "write NAME=PROTOCOL://HOST:PORT, such as INSIDE=SSL://10.0.0.7:9192; the protocols are PLAINTEXT, SSL, \
                    SASL_PLAINTEXT and SASL_SSL";

impl Listeners {
    /// `listen` is `--listen`'s, `named` are those of `--listener`, `advertise` what is to be told instead of each.
    pub fn parse(listen: Option<&str>, named: &[String], advertise: &[String]) -> Result<Self, Refusal> {
        let mut told = advertised(advertise)?;
        let plain = Address::parse("--listen", listen.unwrap_or("127.0.0.1:9092"))?;
        let mut all =
            vec![ListenerConfig::of(Listener::plain(), "--listen", plain, told.remove(Listener::PLAIN))?];
        for text in named {
            let (listener, given) = parse_named(text)?;
            if listener.name == PEER_LISTENER {
                let what = format!("--listener '{text}': {PEER_LISTENER} is the listener for other nodes");
                return Err(Refusal::usage(what, "give it another name"));
            }
            if all.iter().any(|other| other.listener.name == listener.name) {
                let what = format!("there are two listeners {}", listener.name);
                let remedy =
                    format!("give each --listener a name of its own; {} is --listen's", Listener::PLAIN);
                return Err(Refusal::usage(what, remedy));
            }
            let address = told.remove(&listener.name);
            all.push(ListenerConfig::of(listener, "--listener", given, address)?);
        }
        if let Some(name) = told.keys().next() {
            let what = format!("--advertise {name}=… is of a listener that there is not");
            return Err(Refusal::usage(what, "name one that --listener names, or none for --listen's"));
        }
        if all.len() > NAMED_MAX + 1 {
            let what = format!("{} listeners are more than the {NAMED_MAX} beside --listen", all.len() - 1);
            return Err(Refusal::usage(what, "leave some out"));
        }
        Ok(Self(all))
    }

    /// `--listen`'s.
    pub fn plain(&self) -> &ListenerConfig {
        self.0.first().expect("made with one")
    }

    pub fn named(&self) -> &[ListenerConfig] {
        &self.0[1..]
    }

    /// What the cluster is told of this node: where clients reach it, and where other nodes do.
    pub fn advertised(&self, rack: Option<String>, peer: Option<AdvertisedListener>) -> Advertised {
        let named = self.named().iter().map(|named| AdvertisedListener {
            name: named.listener.name.clone(),
            protocol: named.listener.protocol.number(),
            host: named.advertised.host.clone(),
            first_port: named.advertised.port,
        });
        let plain = self.plain().advertised.clone();
        Advertised { host: plain.host, first_port: plain.port, rack, listeners: named.chain(peer).collect() }
    }
}

impl ListenerConfig {
    fn of(listener: Listener, option: &str, given: Address, told: Option<Address>) -> Result<Self, Refusal> {
        let listen = given.resolve(option)?;
        let advertised = match told {
            Some(address) => address,
            None if listen.ip().is_unspecified() => {
                let name = if listener.is_plain() { String::new() } else { format!("{}=", listener.name) };
                let what = format!(
                    "{option} {given} is every address of this machine, none that clients could be told"
                );
                let port = given.port;
                return Err(Refusal::usage(
                    what,
                    format!("add --advertise {name}HOST:{port}, with the name or address that clients reach"),
                ));
            }
            None => given.clone(),
        };
        if advertised.is_wildcard() {
            let what = format!("--advertise {advertised} is no address that a client could connect to");
            return Err(Refusal::usage(what, "give the name or address that clients reach"));
        }
        Ok(Self { listener: Arc::new(listener), given, listen, advertised })
    }

    /// The option that gives it.
    pub fn option(&self) -> &'static str {
        if self.listener.is_plain() { "--listen" } else { "--listener" }
    }

    /// As `--listener` has it.
    pub fn described(&self) -> String {
        format!("{}={}://{}", self.listener.name, self.listener.protocol, self.given)
    }

    /// Whether what is sent here can be read on its way between machines.
    pub fn is_in_the_clear(&self) -> bool {
        !self.listener.protocol.is_encrypted() && !self.listen.ip().is_loopback()
    }
}

fn parse_named(text: &str) -> Result<(Listener, Address), Refusal> {
    let wrong = |what: &str| Refusal::usage(format!("--listener '{text}': {what}"), FORM);
    let (name, rest) = text.split_once('=').ok_or_else(|| wrong("it has no name"))?;
    let (protocol, address) = rest.split_once("://").ok_or_else(|| wrong("it has no protocol"))?;
    let is_name = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_name) {
        return Err(wrong("the name is not made of letters, digits, '_', '-' and '.'"));
    }
    let protocol = SecurityProtocol::named(protocol).ok_or_else(|| wrong("there is no such protocol"))?;
    let address = Address::parse("--listener", address).map_err(|_| wrong("its address is not HOST:PORT"))?;
    Ok((Listener { name: name.to_owned(), protocol }, address))
}

/// `HOST:PORT` for the plaintext listener, `NAME=HOST:PORT` for one with a name.
fn advertised(given: &[String]) -> Result<BTreeMap<String, Address>, Refusal> {
    let mut told = BTreeMap::new();
    for text in given {
        let (name, address) = text.split_once('=').unwrap_or((Listener::PLAIN, text));
        if told.insert(name.to_owned(), Address::parse("--advertise", address)?).is_some() {
            let what = format!("--advertise '{text}' is the second for one listener");
            return Err(Refusal::usage(what, "give one address for each listener: NAME=HOST:PORT"));
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(named: &[&str], advertise: &[&str]) -> Result<Listeners, Refusal> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Listeners::parse(None, &owned(named), &owned(advertise))
    }

    fn refused(named: &[&str], advertise: &[&str]) -> String {
        parse(named, advertise).expect_err("refused").to_string()
    }

    #[test]
    fn a_listener_is_a_name_a_protocol_and_an_address() {
        let listeners = parse(&["IN-1=SASL_SSL://127.0.0.1:9192"], &["IN-1=b.example:19192"]).expect("read");
        let one = &listeners.named()[0];
        assert_eq!((one.listener.name.as_str(), one.listener.protocol), ("IN-1", SecurityProtocol::SaslSsl));
        assert_eq!(one.described(), "IN-1=SASL_SSL://127.0.0.1:9192");
        let told = listeners.advertised(None, None);
        assert_eq!((told.host.as_str(), told.first_port), ("127.0.0.1", 9092));
        let named = &told.listeners[0];
        assert_eq!((named.host.as_str(), named.first_port, named.protocol), ("b.example", 19192, 3));
    }

    #[test]
    fn what_is_none_is_refused_with_what_is_wrong_in_it() {
        for (text, what) in [
            ("SSL://127.0.0.1:9192", "it has no name"),
            ("A=127.0.0.1:9192", "it has no protocol"),
            ("A=TLS://127.0.0.1:9192", "no such protocol"),
            ("A=SSL://9192", "not HOST:PORT"),
            ("A B=SSL://127.0.0.1:9192", "the name is not made of"),
            ("=SSL://127.0.0.1:9192", "the name is not made of"),
        ] {
            let text = refused(&[text], &[]);
            assert!(text.contains(what), "{text}");
        }
    }

    #[test]
    fn names_are_there_once() {
        let one = "A=SSL://127.0.0.1:9192";
        assert!(refused(&[one, one], &[]).contains("two listeners A"));
        assert!(refused(&["PLAINTEXT=PLAINTEXT://127.0.0.1:9192"], &[]).contains("is --listen's"));
        assert!(refused(&[one], &["B=b:1"]).contains("a listener that there is not"));
        assert!(refused(&[one], &["A=b:1", "A=c:1"]).contains("second for one listener"));
    }

    #[test]
    fn every_address_of_the_machine_needs_one_to_advertise() {
        assert!(refused(&["A=SSL://0.0.0.0:9192"], &[]).contains("--advertise A=HOST:9192"));
        assert!(parse(&["A=SSL://0.0.0.0:9192"], &["A=b:1"]).is_ok());
        assert!(refused(&["A=SSL://0.0.0.0:9192"], &["A=0.0.0.0:1"]).contains("no address that a client"));
    }

    #[test]
    fn what_can_be_read_on_its_way_is_known() {
        let listeners = parse(
            &["A=PLAINTEXT://127.0.0.1:9192", "B=PLAINTEXT://10.0.0.7:9192", "C=SSL://10.0.0.7:9292"],
            &[],
        );
        let clear: Vec<bool> =
            listeners.expect("read").0.iter().map(ListenerConfig::is_in_the_clear).collect();
        assert_eq!(clear, [false, false, true, false]);
    }
}
