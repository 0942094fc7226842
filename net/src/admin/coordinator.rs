//! A connection to the broker that knows a group or a transactional id: its coordinator.

use super::connection::Connection;
use super::kafka_error::check;
use super::reach::Reach;
use super::topic_report::left_out;
use crate::process::refusal::Refusal;
use kafka_wire::FindCoordinatorRequest;

/// What a coordinator coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Group,
    TransactionalId,
}

impl Kind {
    fn key_type(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::TransactionalId => 1,
        }
    }

    /// One of them, in words.
    pub fn subject(self, name: &str) -> String {
        match self {
            Self::Group => format!("group '{name}'"),
            Self::TransactionalId => format!("transactional id '{name}'"),
        }
    }
}

/// Asks who it is and connects; version 4 is the first that asks for several.
pub fn coordinator(
    connection: &mut Connection,
    reach: &Reach,
    kind: Kind,
    name: &str,
) -> Result<Connection, Refusal> {
    let mut request = FindCoordinatorRequest::default();
    request.key_type = kind.key_type();
    request.coordinator_keys.push(name.into());
    let response = connection.call(4, &request)?;
    let found = response.coordinators.into_iter().next().ok_or_else(|| left_out(connection))?;
    check(&kind.subject(name), found.error_code, found.error_message.as_deref())?;
    let port = u16::try_from(found.port).map_err(|_| left_out(connection))?;
    Connection::open(reach.access()?, &found.host, port, reach.timeout())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_kafkas_number_and_its_words() {
        assert_eq!((Kind::Group.key_type(), Kind::TransactionalId.key_type()), (0, 1));
        assert_eq!(Kind::TransactionalId.subject("a"), "transactional id 'a'");
        assert_eq!(Kind::Group.subject("g"), "group 'g'");
    }
}
