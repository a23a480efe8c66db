//! The body of an EST enrolment (`tegata_pki::csr::parse_base64`): whatever its octets; and octets in base64 are read as the octets are,
//! however the lines are broken.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use tegata_pki::csr;

fuzz_target!(
    init: {
        let body = include_bytes!("../seeds/est/p256-lines.b64");
        assert!(csr::parse_base64(body).is_ok(), "a body in lines is accepted");
    },
    |body: &[u8]| {
        let _ = csr::parse_base64(body);
        let expected = csr::parse(body);
        let text = STANDARD.encode(body);
        let lines: Vec<&[u8]> = text.as_bytes().chunks(1 + body.len() % 76).collect();
        for broken in [&b""[..], b"\n", b"\r\n", b" \t\r\n"] {
            assert_eq!(csr::parse_base64(&lines.join(broken)), expected);
        }
    }
);
