//! The text form of certificates, revocation lists and public keys (RFC 7468). Private keys never take this way.

use der::pem::LineEnding;

/// Why a text is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no readable {0} between BEGIN and END lines")]
pub struct PemError(pub &'static str);

const CERTIFICATE: &str = "CERTIFICATE";
const PUBLIC_KEY: &str = "PUBLIC KEY";

/// One certificate as text, with a line end at its end.
pub fn certificate(der: &[u8]) -> String {
    text(CERTIFICATE, der)
}

/// One revocation list as text, with a line end at its end.
pub fn crl(der: &[u8]) -> String {
    text("X509 CRL", der)
}

fn text(label: &'static str, der: &[u8]) -> String {
    der::pem::encode_string(label, LineEnding::LF, der).expect("the label is valid and a String grows as far as needed")
}

/// One public key (SubjectPublicKeyInfo) as text, with a line end at its end.
pub fn public_key(der: &[u8]) -> String {
    text(PUBLIC_KEY, der)
}

/// All the certificates of a text, in its order; anything else in it is passed over.
pub fn certificates(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    all(text, CERTIFICATE)
}

/// All the public keys of a text, in its order; anything else in it is passed over.
pub fn public_keys(text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    all(text, PUBLIC_KEY)
}

fn all(text: &str, label: &'static str) -> Result<Vec<Vec<u8>>, PemError> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let wrong = PemError(label);
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(&begin) {
        let until = rest[start..].find(&end).map(|at| start + at + end.len()).ok_or(wrong.clone())?;
        let (_, der) = der::pem::decode_vec(&rest.as_bytes()[start..until]).map_err(|_| wrong.clone())?;
        found.push(der);
        rest = &rest[until..];
    }
    if found.is_empty() { Err(wrong) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_certificates_are_read_back_in_order() {
        let text = format!("# issuing\n{}\nsubject=root\n{}", certificate(&[1; 100]), certificate(&[2; 5]));
        assert_eq!(certificates(&text), Ok(vec![vec![1; 100], vec![2; 5]]));
    }

    #[test]
    fn public_keys_are_told_from_certificates() {
        let text = format!("{}{}", certificate(&[1; 100]), public_key(&[3; 91]));
        assert_eq!(public_keys(&text), Ok(vec![vec![3; 91]]));
        assert!(public_keys(&certificate(&[1; 100])).is_err());
    }

    #[test]
    fn a_text_without_certificates_or_with_half_of_one_is_refused() {
        assert!(certificates("").is_err());
        assert!(certificates(&certificate(&[1; 100])[..60]).is_err());
    }
}
