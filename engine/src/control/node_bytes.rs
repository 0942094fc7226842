//! How a node is reached, as its bytes are in commands and checkpoints.

use super::bytes::{DecodeError, Reader, Writer};
use super::nodes::{Advertised, AdvertisedListener, Invited};
use crate::ids::Incarnation;

pub(super) fn write_advertised(to: &mut Writer, advertised: &Advertised) {
    to.text(&advertised.host);
    to.u16(advertised.first_port);
    to.optional_text(advertised.rack.as_deref());
}

pub(super) fn read_advertised(from: &mut Reader<'_>) -> Result<Advertised, DecodeError> {
    let (host, first_port, rack) = (from.text()?, from.u16()?, from.optional_text()?);
    Ok(Advertised { host, first_port, rack, listeners: Vec::new() })
}

/// Two lengths, the protocol and the port.
pub(super) const LISTENER_BYTES_MIN: usize = 4 + 1 + 4 + 2;

pub(super) fn write_listener(to: &mut Writer, listener: &AdvertisedListener) {
    to.text(&listener.name);
    to.u8(listener.protocol);
    to.text(&listener.host);
    to.u16(listener.first_port);
}

pub(super) fn read_listener(from: &mut Reader<'_>) -> Result<AdvertisedListener, DecodeError> {
    Ok(AdvertisedListener {
        name: from.text()?,
        protocol: from.u8()?,
        host: from.text()?,
        first_port: from.u16()?,
    })
}

/// Its life, then how it is reached, with its listeners behind.
pub(super) fn write_invited(to: &mut Writer, incarnation: Incarnation, advertised: &Advertised) {
    to.u128(incarnation.0);
    write_advertised(to, advertised);
    to.list(advertised.listeners.iter(), write_listener);
}

pub(super) fn read_invited(from: &mut Reader<'_>) -> Result<Invited, DecodeError> {
    let (incarnation, advertised) = (Incarnation(from.u128()?), read_advertised(from)?);
    let listeners = from.list(LISTENER_BYTES_MIN, read_listener)?;
    Ok(Invited { incarnation, advertised: Advertised { listeners, ..advertised } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_invited_comes_back_whole_and_ends_nowhere_early() {
        let listener =
            AdvertisedListener { name: "PEER".into(), protocol: 1, host: "h".into(), first_port: 9 };
        let advertised = Advertised {
            host: "four".into(),
            first_port: 7,
            rack: Some("r".into()),
            listeners: vec![listener],
        };
        let invited = Invited { incarnation: Incarnation(44), advertised };
        let mut to = Writer(Vec::new());
        write_invited(&mut to, invited.incarnation, &invited.advertised);
        assert_eq!(read_invited(&mut Reader(&to.0)), Ok(invited));
        for cut in 0..to.0.len() {
            assert!(read_invited(&mut Reader(&to.0[..cut])).is_err(), "{cut}");
        }
    }
}
