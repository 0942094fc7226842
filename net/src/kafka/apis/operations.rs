//! Authorized operations, as clients ask for them in Metadata and the Describe APIs: a bit per
//! operation. There is no authorizer yet, so that everybody may do all that a resource has.

/// Kafka's value of "not asked for".
pub const UNKNOWN: i32 = i32::MIN;

/// Kafka's numbers of operations (`AclOperation`).
const READ: u8 = 3;
const WRITE: u8 = 4;
const CREATE: u8 = 5;
const DELETE: u8 = 6;
const ALTER: u8 = 7;
const DESCRIBE: u8 = 8;
const CLUSTER_ACTION: u8 = 9;
const DESCRIBE_CONFIGS: u8 = 10;
const ALTER_CONFIGS: u8 = 11;
const IDEMPOTENT_WRITE: u8 = 12;

/// All that each type of resource has (`AclEntry.supportedOperations`).
pub const TOPIC: i32 = bits(&[READ, WRITE, CREATE, DESCRIBE, DELETE, ALTER, DESCRIBE_CONFIGS, ALTER_CONFIGS]);
pub const GROUP: i32 = bits(&[READ, DESCRIBE, DELETE, DESCRIBE_CONFIGS, ALTER_CONFIGS]);
pub const CLUSTER: i32 =
    bits(&[CREATE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE, ALTER, DESCRIBE]);

/// `all` where they were asked for.
pub fn if_asked(asked: bool, all: i32) -> i32 {
    if asked { all } else { UNKNOWN }
}

const fn bits(operations: &[u8]) -> i32 {
    let (mut bits, mut at) = (0, 0);
    while at < operations.len() {
        bits |= 1 << operations[at];
        at += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_that_kafka_4_sends() {
        assert_eq!((TOPIC, GROUP, CLUSTER), (3576, 3400, 8096));
        assert_eq!((if_asked(true, TOPIC), if_asked(false, TOPIC)), (3576, i32::MIN));
    }
}
