//! What somebody means who types a scrap of something into the console's search: part of a serial as a browser shows it, a file's name, a
//! terminal's number, a day. Nothing is guessed away: whatever the scrap can be is looked for.

use jiff::civil::{Date, Time};

use crate::customer::CustomerCode;
use crate::id::{ClientNumber, CustomerId, TerminalId};
use crate::recovery::{TerminalNumber, narrow};
use crate::time::Timestamp;

/// The longest scrap, in characters.
pub const LONGEST: usize = 100;
/// Fewer hex digits than these begin too many serials.
const FEWEST_DIGITS: usize = 6;
const MOST_WORDS: usize = 4;

/// Everything that a scrap can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Words of names, each in the ways in which it may have been written; all words must be there.
    pub words: Vec<Vec<String>>,
    /// A customer.
    pub customer: Option<CustomerId>,
    /// A customer's billing code.
    pub code: Option<CustomerCode>,
    /// A terminal of the customer.
    pub client: Option<ClientNumber>,
    /// A terminal.
    pub terminal: Option<TerminalId>,
    /// The first and the last serial that begin so.
    pub serials: Option<([u8; 16], [u8; 16])>,
    /// The first and the last fingerprint that begin so.
    pub fingerprints: Option<([u8; 32], [u8; 32])>,
    /// The first and the last second of a day in Japan, on which certificates may end.
    pub day: Option<(Timestamp, Timestamp)>,
}

impl Search {
    /// Reads a scrap; `None` where nothing was typed.
    pub fn parse(scrap: &str) -> Option<Self> {
        let typed: String = scrap.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        if typed.is_empty() {
            return None;
        }
        let plain: String = typed.chars().map(narrow_letter).collect::<String>().to_ascii_lowercase();
        let number = plain.parse::<TerminalNumber>().ok();
        let (named_customer, named_client) = named(&plain);
        let hex: String = plain.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        let is_hex = hex.len() >= FEWEST_DIGITS && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let day = day(&plain);
        Some(Self {
            words: words(&typed),
            customer: named_customer.or(number.map(|number| number.customer)),
            code: plain.parse().ok().or_else(|| code_of_file(&plain)),
            client: named_client.filter(|_| named_customer.is_some()).or(number.map(|number| number.client)),
            terminal: plain.parse().ok(),
            serials: is_hex.then(|| beginning(&hex)).flatten(),
            fingerprints: is_hex.then(|| beginning(&hex)).flatten(),
            day,
        })
    }

    /// Whether it names one terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal.is_some() || (self.customer.is_some() && self.client.is_some())
    }
}

/// The words of a scrap. A name may have been written with wide digits where narrow ones are typed, or the other way round.
fn words(typed: &str) -> Vec<Vec<String>> {
    let variants = |word: &str| {
        let all = [word.to_owned(), word.chars().map(narrow_letter).collect(), word.chars().map(wide).collect()];
        let mut variants: Vec<String> = Vec::new();
        for variant in all.map(|text: String| text.to_ascii_lowercase()) {
            if !variants.contains(&variant) {
                variants.push(variant);
            }
        }
        variants
    };
    typed.split_whitespace().take(MOST_WORDS).map(variants).collect()
}

/// Wide letters, digits and strokes to ASCII.
fn narrow_letter(c: char) -> char {
    match c {
        '！'..='～' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        other => narrow(other),
    }
}

fn wide(c: char) -> char {
    if c.is_ascii_digit() { char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c) } else { c }
}

/// `u00000001` and `client0001` wherever they stand: in a file's name, in a subject, in an address.
fn named(plain: &str) -> (Option<CustomerId>, Option<ClientNumber>) {
    let parts = || plain.split(|c: char| !c.is_ascii_alphanumeric());
    let client = |part: &str| part.parse().ok();
    (parts().find_map(|part| part.parse().ok()), parts().find_map(client))
}

/// The six digits with which a file's name begins.
fn code_of_file(plain: &str) -> Option<CustomerCode> {
    let (code, rest) = plain.split_once('_')?;
    rest.contains(".p12").then(|| code.parse().ok()).flatten()
}

/// The lowest and the highest of so many octets that begin with these hex digits.
fn beginning<const N: usize>(hex: &str) -> Option<([u8; N], [u8; N])> {
    if hex.len() > 2 * N {
        return None;
    }
    let (mut first, mut last) = ([0; N], [0xff; N]);
    for (at, digit) in hex.chars().enumerate() {
        let digit = u8::try_from(digit.to_digit(16)?).ok()?;
        let (keep, shift) = if at % 2 == 0 { (0x0f, 4) } else { (0xf0, 0) };
        first[at / 2] = first[at / 2] & keep | digit << shift;
        last[at / 2] = last[at / 2] & keep | digit << shift;
    }
    Some((first, last))
}

/// A day: `2027-01-21`, `2027/1/21`, `2027年1月21日`, `20270121`.
fn day(plain: &str) -> Option<(Timestamp, Timestamp)> {
    let numbers: Vec<&str> = if plain.len() == 8 && plain.bytes().all(|byte| byte.is_ascii_digit()) {
        vec![&plain[..4], &plain[4..6], &plain[6..]]
    } else {
        plain.split(['-', '/', '.', '年', '月', '日']).filter(|part| !part.is_empty()).collect()
    };
    let [year, month, day] = numbers.as_slice() else { return None };
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    if !(2000..=2200).contains(&date.year()) {
        return None;
    }
    let first = Timestamp::from_jst(date, Time::midnight());
    Some((first, first.plus_seconds(86_399)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(scrap: &str) -> Search {
        Search::parse(scrap).expect("something")
    }

    #[test]
    fn a_terminal_is_found_by_its_number_its_file_and_its_subject() {
        let expected = (CustomerId::new(1), ClientNumber::new(2));
        for scrap in [
            "1-2",
            "１ー２",
            "u00000001 client0002",
            "u00000001/client0002",
            "103001_JP_u00000001_client002.p12",
            "103001__JP_u00000001_client0002 (1).p12",
            "CN=JP_u00000001_client0002",
        ] {
            let search = found(scrap);
            assert_eq!((search.customer, search.client), expected, "{scrap}");
            assert!(search.is_terminal());
        }
        assert_eq!(found("103001_JP_u00000001_client002.p12").code, "103001".parse().ok());
        assert_eq!(found("u00000001").client, None);
        assert!(found("0198c0de-0000-4000-8000-000000000001").is_terminal());
    }

    #[test]
    fn the_beginning_of_a_serial_is_a_range_of_serials() {
        let (first, last) = found("20291122 AB:C").serials.expect("hex");
        assert_eq!(first[..6], [0x20, 0x29, 0x11, 0x22, 0xab, 0xc0]);
        assert_eq!(last[..6], [0x20, 0x29, 0x11, 0x22, 0xab, 0xcf]);
        assert_eq!((first[15], last[15]), (0, 0xff));
        assert_eq!(found("20291").serials, None, "five digits begin too many");
        let whole = "20291122ABABABABABABABABABABABAB";
        let (first, last) = found(whole).serials.expect("hex");
        assert_eq!(first, last);
        assert_eq!(found(&whole.repeat(2)).serials, None, "a fingerprint is no serial");
        assert!(found(&whole.repeat(2)).fingerprints.is_some());
        assert_eq!(found(&format!("{}0", whole.repeat(2))).fingerprints, None);
    }

    #[test]
    fn a_day_is_read_as_people_write_it() {
        let expected = Timestamp::parse("2027-01-20T15:00:00Z").expect("valid");
        for scrap in ["2027-01-21", "2027/1/21", "2027年1月21日", "20270121", "２０２７/１/２１"] {
            assert_eq!(found(scrap).day, Some((expected, expected.plus_seconds(86_399))), "{scrap}");
        }
        for scrap in ["2027-02-30", "1-2-3", "103001", "受付1"] {
            assert_eq!(found(scrap).day, None, "{scrap}");
        }
    }

    #[test]
    fn names_are_looked_for_in_narrow_and_in_wide_digits() {
        assert_eq!(found("受付1").words, [["受付1", "受付１"]]);
        assert_eq!(found("受付１").words, [["受付１", "受付1"]]);
        assert_eq!(found(" ひだまり　受付 ").words.len(), 2);
        assert_eq!(Search::parse(" 　"), None);
        assert_eq!(found("103001").code, "103001".parse().ok());
    }

    #[test]
    fn nothing_that_can_be_typed_panics() {
        for scrap in
            ["%", "_", "!", "'; --", "\u{0}", "年月日", "：：：：：：", "u99999999_client99999", &"あ".repeat(500)]
        {
            let _ = Search::parse(scrap);
        }
    }
}
