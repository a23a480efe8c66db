//! Reading forms strictly (`application/x-www-form-urlencoded`, WHATWG URL section 5.1): a broken percent sequence or broken UTF-8 is an
//! error, never a guess. Unknown fields are ignored by whoever reads. Values are secrets until asked for, since passwords are among them.

use tegata_core::secret::Secret;

/// The fields of a form, in the order they came.
pub(crate) struct Fields(Vec<(String, Secret<String>)>);

impl Fields {
    /// Reads a body; `None` where it is broken.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        let fields = pairs.map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = at.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            Some((decode(name)?, Secret::new(decode(value)?)))
        });
        fields.collect::<Option<_>>().map(Self)
    }

    /// The names, in the order they came.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The first value of that name; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.expose())
    }
}

/// Writes a value so that it can stand in an address (RFC 3986 section 2.1).
pub(crate) fn encode(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    value.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let [high, low, tail @ ..] = rest else { return None };
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                rest = tail;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// A text as a value in an address (RFC 3986 section 2.1).
pub(crate) fn encoded(text: &str) -> String {
    let octet = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(octet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let form = Fields::parse("user=%E5%8F%97%E4%BB%98&password=a+b%2Bc&&empty=&flag".as_bytes()).expect("valid");
        assert_eq!(form.text("user"), "受付");
        assert_eq!(form.text("password"), "a b+c");
        assert_eq!((form.text("empty"), form.text("flag"), form.text("other")), ("", "", ""));
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        for text in ["受付 & 会計", "a+b=c%20?#", ""] {
            let form = Fields::parse(format!("x={}", encoded(text)).as_bytes()).expect("valid");
            assert_eq!(form.text("x"), text);
        }
    }

    #[test]
    fn broken_forms_are_errors() {
        for wrong in ["user=%", "user=%4", "user=%zz", "user=%ff", "%c3=1"] {
            assert!(Fields::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
