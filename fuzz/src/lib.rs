//! What the targets share: cutting DER into its elements and making new ones, without the code that is under test. With it a target puts a
//! right signature or seal around changed bytes, so that what is behind that check is tried, too.

/// One element of DER: all of it, and what stands inside.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Tag, length and content.
    pub whole: &'a [u8],
    /// The content alone.
    pub content: &'a [u8],
}

/// Cuts off the first element; returns the rest, too. Tags of one octet and lengths below 2^16 are all that the seeds have.
pub fn cut(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (head, length) = match *der.get(1..)? {
        [length @ 0..=0x7f, ..] => (2, usize::from(length)),
        [0x81, length, ..] => (3, usize::from(length)),
        [0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
        _ => return None,
    };
    let (whole, rest) = der.split_at_checked(head + length)?;
    Some((Element { whole, content: &whole[head..] }, rest))
}

/// An element with this tag around the parts.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.push(0x80 | u8::try_from(significant.len()).expect("at most 8 octets"));
    }
    out.extend_from_slice(significant);
    out.extend(content);
    out
}

/// Whether `part` stands somewhere in `all`.
pub fn holds(all: &[u8], part: &[u8]) -> bool {
    part.is_empty() || all.windows(part.len()).any(|window| window == part)
}
