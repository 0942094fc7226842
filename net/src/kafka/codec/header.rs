//! The request header, and the response header before any answer.

use super::cursor::{Cursor, Malformed, Parsed};
use crate::kafka::api::{API_VERSIONS, Api};

/// What comes before a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    pub api_key: i16,
    pub version: i16,
    pub correlation: i32,
    pub client_id: Option<&'a str>,
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    Request {
        header: RequestHeader<'a>,
        body: &'a [u8],
    },
    /// ApiVersions in a version that is unknown here: answered all the same, in version 0.
    UnknownApiVersions {
        correlation: i32,
    },
}

/// Reads the header of a frame and checks API and version against the surface.
pub fn open<'a>(frame: &'a [u8], apis: &[Api]) -> Parsed<Opened<'a>> {
    let mut cursor = Cursor::new(frame, false);
    let (api_key, version) = (cursor.i16()?, cursor.i16()?);
    let correlation = cursor.i32()?;
    let api = apis.iter().find(|api| api.key == api_key).ok_or(Malformed("an unknown API"))?;
    if version < api.min || version > api.max {
        if api_key == API_VERSIONS {
            return Ok(Opened::UnknownApiVersions { correlation });
        }
        return Err(Malformed("an unsupported version"));
    }
    // The client id has a two-byte length in flexible headers, too.
    let client_id = cursor.nullable_string()?;
    cursor.flexible = version >= api.flexible_from;
    cursor.skip_tags()?;
    let header = RequestHeader { api_key, version, correlation, client_id };
    Ok(Opened::Request { header, body: cursor.rest() })
}

/// A frame with room for its length and the correlation id; [`seal`] fills in the length.
pub fn begin_answer(correlation: i32) -> Vec<u8> {
    let mut frame = Vec::with_capacity(256);
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&correlation.to_be_bytes());
    frame
}

/// Writes the frame's length, of which `elsewhere` bytes are not in `frame`.
pub fn seal(frame: &mut [u8], elsewhere: usize) {
    let bytes = u32::try_from(frame.len() - 4 + elsewhere).expect("answers are under 2 GiB");
    frame[..4].copy_from_slice(&bytes.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const APIS: [Api; 2] = [
        Api { key: 3, min: 0, max: 13, flexible_from: 9 },
        Api { key: API_VERSIONS, min: 0, max: 4, flexible_from: 3 },
    ];

    fn frame(api_key: i16, version: i16, rest: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend_from_slice(&api_key.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&7i32.to_be_bytes());
        frame.extend_from_slice(rest);
        frame
    }

    #[test]
    fn a_header_is_read_in_both_forms() {
        let plain = frame(3, 8, &[0, 1, b'x', 9, 9]);
        let header = RequestHeader { api_key: 3, version: 8, correlation: 7, client_id: Some("x") };
        assert_eq!(open(&plain, &APIS), Ok(Opened::Request { header, body: &[9, 9] }));
        let flexible = frame(3, 9, &[0xff, 0xff, 1, 5, 1, 0, 9, 9]);
        let header = RequestHeader { version: 9, client_id: None, ..header };
        assert_eq!(open(&flexible, &APIS), Ok(Opened::Request { header, body: &[9, 9] }));
    }

    #[test]
    fn what_is_not_on_the_surface_is_refused_but_for_api_versions() {
        assert!(open(&frame(4, 0, &[0, 0]), &APIS).is_err());
        assert!(open(&frame(3, 14, &[0, 0]), &APIS).is_err());
        assert!(open(&frame(3, -1, &[0, 0]), &APIS).is_err());
        assert!(open(&[0, 3], &APIS).is_err());
        let unknown = frame(API_VERSIONS, 99, &[]);
        assert_eq!(open(&unknown, &APIS), Ok(Opened::UnknownApiVersions { correlation: 7 }));
    }
}
