//! What went wrong in a handshake, in words for who looks after the node.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// `other` is who is at the other end, such as "the client".
pub fn in_words(error: &Error, other: &str) -> String {
    let certificate = |what: &str| format!("the certificate of {other} {what}");
    let plain = match error {
        Error::NoCertificatesPresented => format!("{other} shows no certificate"),
        Error::InvalidCertificate(wrong) => match wrong {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => certificate("has expired"),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                certificate("does not count yet: compare the clocks")
            }
            // The second, where another authority has the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                certificate("is of an authority that is not trusted here")
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                certificate("is for another purpose")
            }
            _ => certificate("is not good"),
        },
        Error::AlertReceived(alert) => match alert {
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown => {
                format!(
                    "{other} does not trust this node's certificate: give it the authority's ca.pem, and look at the host's name"
                )
            }
            AlertDescription::CertificateExpired => format!("to {other} this node's certificate has expired"),
            AlertDescription::CertificateRequired => format!("{other} wants a certificate"),
            _ => format!("{other} ended it"),
        },
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired
            // Of 1.2 on; older ones have none.
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
        ) => format!("{other} offers no version of TLS from 1.2 on"),
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon) => {
            format!("{other} offers no safe cipher")
        }
        _ => return error.to_string(),
    };
    format!("{plain} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_mistakes_are_told_with_what_rustls_says() {
        let words = |error| in_words(&error, "the client");
        let expired = words(Error::InvalidCertificate(CertificateError::Expired));
        assert!(expired.starts_with("the certificate of the client has expired (invalid peer"), "{expired}");
        let untrusted = words(Error::AlertReceived(AlertDescription::UnknownCA));
        assert!(untrusted.contains("ca.pem") && untrusted.contains("UnknownCA"), "{untrusted}");
        assert_eq!(words(Error::DecryptError), Error::DecryptError.to_string());
    }
}
