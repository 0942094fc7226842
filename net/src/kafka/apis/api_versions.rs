//! ApiVersions: the surface, as clients ask for it before anything else.
//!
//! Its response header never has tagged fields, whatever the version, and a version that is
//! unknown here is answered in version 0 with the whole list, so that the client can ask again.

use crate::kafka::api::Api;
use crate::kafka::codec::cursor::{Malformed, Writer};
use crate::kafka::codec::header::{self, RequestHeader};
use crate::kafka::codec::wire;
use crate::kafka::errors::code;
use kafka_wire::ApiVersionsRequest;

const FLEXIBLE_FROM: i16 = 3;

/// The answer to a version that is in range.
pub fn answer(header: RequestHeader<'_>, body: &[u8], apis: &[Api]) -> Result<Vec<u8>, Malformed> {
    let request: ApiVersionsRequest =
        wire::decode(body, header.version).map_err(|_| Malformed("its body cannot be decoded"))?;
    let named = header.version < FLEXIBLE_FROM
        || (is_valid_name(&request.client_software_name) && is_valid_name(&request.client_software_version));
    let error_code = if named { code::NONE } else { code::INVALID_REQUEST };
    Ok(encode(header.correlation, header.version, error_code, apis))
}

/// The answer to a version that is unknown here.
pub fn unsupported(correlation: i32, apis: &[Api]) -> Vec<u8> {
    encode(correlation, 0, code::UNSUPPORTED_VERSION, apis)
}

/// Kafka's rule for the names of client software (KIP-511).
fn is_valid_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric();
    let bytes = name.as_bytes();
    bytes.first().is_some_and(|byte| word(*byte))
        && bytes.last().is_some_and(|byte| word(*byte))
        && bytes.iter().all(|byte| word(*byte) || matches!(byte, b'-' | b'.'))
}

fn encode(correlation: i32, version: i16, error_code: i16, apis: &[Api]) -> Vec<u8> {
    let mut answer = header::begin_answer(correlation);
    let mut writer = Writer { to: &mut answer, flexible: version >= FLEXIBLE_FROM };
    writer.i16(error_code);
    writer.length(apis.len());
    for api in apis {
        writer.i16(api.key);
        writer.i16(api.min);
        writer.i16(api.max);
        writer.no_tags();
    }
    if version >= 1 {
        writer.i32(0);
    }
    match version {
        FLEXIBLE_FROM.. => writer.to.extend_from_slice(&features()),
        _ => writer.no_tags(),
    }
    header::seal(&mut answer, 0);
    answer
}

/// By name: there are groups of the consumer protocol (`group.version` 1, KIP-848), and each transaction has an
/// epoch of its own for clients that know that (`transaction.version` 2, KIP-890).
const FEATURES: [(&str, i16); 2] = [("group.version", 1), ("transaction.version", 2)];

/// Features of the cluster: tag 0 what is supported, 1 since when, 2 what holds.
fn features() -> Vec<u8> {
    let list = |first: fn(i16) -> i16| {
        let mut list = vec![FEATURES.len() as u8 + 1];
        for (name, level) in FEATURES {
            list.push(name.len() as u8 + 1);
            list.extend_from_slice(name.as_bytes());
            list.extend_from_slice(&first(level).to_be_bytes());
            list.extend_from_slice(&level.to_be_bytes());
            list.push(0);
        }
        list
    };
    let tags = [list(|_| 0), 0i64.to_be_bytes().to_vec(), list(|level| level)];
    let mut all = vec![tags.len() as u8];
    for (tag, bytes) in (0..).zip(tags) {
        all.push(tag);
        all.push(u8::try_from(bytes.len()).ok().filter(|bytes| *bytes < 0x80).expect("one byte of length"));
        all.extend_from_slice(&bytes);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::versions;
    use kafka_wire::ApiVersionsResponse;

    #[test]
    fn every_version_is_read_by_the_schema() {
        let apis = versions::apis();
        for version in 0..=4 {
            let answer = encode(5, version, 0, &apis);
            let response: ApiVersionsResponse = wire::decode(&answer[8..], version).expect("decodes");
            assert_eq!(response.api_keys.len(), apis.len());
            assert_eq!(answer[4..8], 5i32.to_be_bytes());
            let finalized = response.finalized_features.iter();
            let levels: Vec<i16> = finalized.map(|feature| feature.max_version_level).collect();
            assert_eq!(levels, if version >= 3 { vec![1, 2] } else { Vec::new() }, "version {version}");
            if version >= 3 {
                let supported = response.supported_features.iter();
                let supported = supported.map(|one| (one.name.as_str(), one.max_version));
                assert_eq!(supported.collect::<Vec<_>>(), FEATURES);
                assert_eq!(response.finalized_features_epoch, 0);
            }
        }
    }

    #[test]
    fn an_unknown_version_gets_error_35_and_the_list_in_version_0() {
        let apis = versions::apis();
        let answer = unsupported(9, &apis);
        let response: ApiVersionsResponse = wire::decode(&answer[8..], 0).expect("decodes");
        assert_eq!((response.error_code, response.api_keys.len()), (35, apis.len()));
    }

    #[test]
    fn names_of_clients_are_words() {
        assert!(is_valid_name("apache-kafka-java") && is_valid_name("3.9.0"));
        assert!(!is_valid_name("") && !is_valid_name("-x") && !is_valid_name("a b") && !is_valid_name("x."));
    }
}
