//! The one thing read from a consumer's opaque metadata: the topics that it names, which protect
//! their offsets from deletion and expiry. Kafka's ConsumerProtocolSubscription, of any version.

/// The topics; `None` when these bytes are not of that kind.
pub fn topics(metadata: &[u8]) -> Option<Vec<&str>> {
    let mut rest = metadata;
    let _version = take(&mut rest, 2)?;
    let count = i32::from_be_bytes(take(&mut rest, 4)?.try_into().expect("four bytes"));
    let count = usize::try_from(count).ok()?;
    // A name takes two bytes at least: what is claimed is not believed.
    let mut topics = Vec::with_capacity(count.min(rest.len() / 2));
    for _ in 0..count {
        let bytes = i16::from_be_bytes(take(&mut rest, 2)?.try_into().expect("two bytes"));
        let name = take(&mut rest, usize::try_from(bytes).ok()?)?;
        topics.push(core::str::from_utf8(name).ok()?);
    }
    Some(topics)
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(bytes)?;
    *rest = behind;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_anything_else_is_none() {
        let metadata = [0, 1, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 9, 9];
        assert_eq!(topics(&metadata), Some(vec!["a", "bc"]));
        assert_eq!(topics(&[0, 0, 0, 0, 0, 0]), Some(vec![]));
        for cut in 0..13 {
            assert_eq!(topics(&metadata[..cut]), None, "{cut}");
        }
        assert_eq!(topics(&[0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0]), None);
    }
}
