//! The subject of a certificate as Java writes it (RFC 2253), which is what Kafka's principals and rules are about:
//! `CN=alice,OU=ops,O=example`, the most specific part first.

use std::fmt::Write as _;
use x509_parser::prelude::{AttributeTypeAndValue, FromDer as _, X509Certificate};

/// Of a certificate in DER.
pub fn subject(certificate: &[u8]) -> Result<String, String> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let parts: Vec<_> = certificate.subject().iter_rdn().collect();
    let mut text = String::new();
    // The certificate begins with the most general one.
    for (at, part) in parts.iter().rev().enumerate() {
        if at > 0 {
            text.push(',');
        }
        for (at, attribute) in part.iter().enumerate() {
            if at > 0 {
                text.push('+');
            }
            write_attribute(&mut text, attribute);
        }
    }
    Ok(text)
}

/// The names that RFC 2253 has; all others are numbers.
fn keyword(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return None,
    })
}

fn write_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    match (keyword(&oid), attribute.as_str()) {
        (Some(keyword), Ok(value)) => {
            let _ = write!(text, "{keyword}=");
            write_escaped(text, value);
        }
        (keyword, _) => {
            let _ = write!(text, "{}=#", keyword.unwrap_or(&oid));
            let value = attribute.attr_value();
            write_header(text, value.header.tag().0, value.data.len());
            value.data.iter().for_each(|byte| {
                let _ = write!(text, "{byte:02x}");
            });
        }
    }
}

/// The tag and the length of a value in DER.
fn write_header(text: &mut String, tag: u32, bytes: usize) {
    let _ = write!(text, "{tag:02x}");
    let _ = match bytes {
        0..=0x7f => write!(text, "{bytes:02x}"),
        0x80..=0xff => write!(text, "81{bytes:02x}"),
        0x100..=0xffff => write!(text, "82{bytes:04x}"),
        _ => write!(text, "84{bytes:08x}"),
    };
}

fn write_escaped(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, char) in value.chars().enumerate() {
        let is_edge = (at == 0 && (char == ' ' || char == '#')) || (at == last && char == ' ');
        if is_edge || ",+\"\\<>;".contains(char) {
            text.push('\\');
        }
        text.push(char);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    fn subject_of(parts: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        parts.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), *value));
        let key = KeyPair::generate().expect("a key");
        subject(params.self_signed(&key).expect("a certificate").der()).expect("a subject")
    }

    #[test]
    fn the_most_specific_part_comes_first() {
        let parts = [
            (DnType::CountryName, "NZ"),
            (DnType::OrganizationName, "Example"),
            (DnType::OrganizationalUnitName, "Ops"),
            (DnType::CommonName, "alice"),
        ];
        assert_eq!(subject_of(&parts), "CN=alice,OU=Ops,O=Example,C=NZ");
        assert_eq!(subject_of(&[]), "");
    }

    #[test]
    fn what_would_read_as_another_name_is_escaped() {
        assert_eq!(subject_of(&[(DnType::CommonName, "a,O=b")]), "CN=a\\,O=b");
        assert_eq!(subject_of(&[(DnType::CommonName, " #a\\+ ")]), "CN=\\ #a\\\\\\+\\ ");
        assert_eq!(subject_of(&[(DnType::CommonName, "#é")]), "CN=\\#é");
    }

    #[test]
    fn kinds_without_a_keyword_are_numbers_and_bytes() {
        let serial = DnType::CustomDnType(vec![2, 5, 4, 5]);
        assert_eq!(subject_of(&[(serial, "7")]), "2.5.4.5=#0c0137");
    }

    #[test]
    fn what_is_no_certificate_has_no_subject() {
        assert!(subject(b"").is_err() && subject(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
