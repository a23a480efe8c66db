//! Tables for spreadsheets, as RFC 4180 says, each cell between quotes.

/// Begins a file: the byte order mark by which Excel in Japan knows UTF-8.
pub const MARK: &str = "\u{feff}";

/// One line, with its end.
pub fn line<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|text| cell(text.as_ref())).collect();
    cells.join(",") + "\r\n"
}

/// A cell between quotes. What a spreadsheet would take for a formula is kept from that by an apostrophe; `1-2` would be taken for a date, and
/// a serial of digits for a number that loses its end, so they have one too.
pub fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let looks_like_a_date = text.split('-').count() == 2 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let is_a_long_number = text.len() > 15 && text.parse::<f64>().is_ok();
    let guard = if formula || looks_like_a_date || is_a_long_number { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_gets_text_and_never_a_formula() {
        let check = |text: &str, expected: &str| assert_eq!(cell(text), expected);
        check("", "\"\"");
        check("=1+1", "\"'=1+1\"");
        check("@SUM(A1)", "\"'@SUM(A1)\"");
        check("受付\"1\"", "\"受付\"\"1\"\"\"");
        check("1-2", "\"'1-2\"");
        check("2026-11-24 08:30", "\"2026-11-24 08:30\"");
        check("20291122877359123456789012345678", "\"'20291122877359123456789012345678\"");
        check("2029112287735912345678901234567E", "\"2029112287735912345678901234567E\"");
        check("202911228773591E345678901234567", "\"'202911228773591E345678901234567\"");
        assert_eq!(line(["a", "b,c"]), "\"a\",\"b,c\"\r\n");
    }
}
