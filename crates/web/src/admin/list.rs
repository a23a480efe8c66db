//! Which part of 端末一覧 is shown: what was searched for, which state, in which order, which page. All of it stands in the address, so that a
//! view can be kept and sent on.

use std::cmp::Ordering;

use tegata_authority::TerminalView;
use tegata_core::terminal::Condition;

use crate::form::{Fields, encode};

/// How many terminals are on a page.
pub(crate) const PAGE: usize = 100;

/// By what the list is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Name,
    Place,
    Number,
    /// Those that need help first.
    State,
    Until,
    Seen,
}

impl Order {
    /// Every order in the place of its column, with its word in the address and the key of its heading.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Name, "name", "frame-terminal"),
        (Self::Place, "place", "list-place"),
        (Self::Number, "number", "admin-number"),
        (Self::State, "state", "admin-condition"),
        (Self::Until, "until", "menu-end"),
        (Self::Seen, "seen", "list-seen"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(order, ..)| *order == self).map_or("state", |(_, word, _)| word)
    }

    /// The list comes in the order of [`Order::State`]; sorting keeps that among equals. What is not known stands at the end, but for the last
    /// visit: what was never here is what one looks for.
    fn compare(self, one: &TerminalView, other: &TerminalView) -> Ordering {
        let place = |view: &TerminalView| (view.facts.place.is_empty(), view.facts.place.clone());
        let until = |view: &TerminalView| (view.until.is_none(), view.until);
        match self {
            Self::Name => one.terminal.name.cmp(&other.terminal.name),
            Self::Place => place(one).cmp(&place(other)),
            Self::Number => one.terminal.client.cmp(&other.terminal.client),
            Self::State => Ordering::Equal,
            Self::Until => until(one).cmp(&until(other)),
            Self::Seen => one.facts.seen_at.cmp(&other.facts.seen_at),
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// A scrap of whatever is known of a terminal.
    pub(crate) search: String,
    pub(crate) state: Option<Condition>,
    pub(crate) order: Order,
    pub(crate) descending: bool,
    /// From 1 on.
    pub(crate) page: usize,
}

impl Asked {
    /// From the address; what cannot be understood is left out.
    pub(crate) fn read(fields: &Fields) -> Self {
        let sort = fields.text("sort");
        let word = sort.strip_prefix('-').unwrap_or(sort);
        let order = Order::ALL.iter().find(|(_, known, _)| *known == word).map_or(Order::State, |(order, ..)| *order);
        Self {
            search: fields.text("q").trim().chars().take(80).collect(),
            state: Condition::parse(fields.text("state")),
            order,
            descending: sort.starts_with('-'),
            page: fields.text("page").parse().ok().filter(|page| *page >= 1).unwrap_or(1),
        }
    }

    /// Whether nothing but the whole list in its own order was asked for.
    pub(crate) fn is_plain(&self) -> bool {
        self.search.is_empty() && self.state.is_none() && self.order == Order::State && !self.descending
    }

    /// Its address.
    pub(crate) fn address(&self) -> String {
        let sort = format!("{}{}", if self.descending { "-" } else { "" }, self.order.word());
        let state = self.state.map_or("", Condition::as_str);
        format!("/admin/terminals?q={}&state={state}&sort={sort}&page={}", encode(&self.search), self.page)
    }

    /// The address of a column's heading: its order, or the other way round where it is in force.
    pub(crate) fn ordered(&self, order: Order) -> String {
        Self { order, descending: self.order == order && !self.descending, page: 1, ..self.clone() }.address()
    }

    /// The address of another page.
    pub(crate) fn paged(&self, page: usize) -> String {
        Self { page, ..self.clone() }.address()
    }

    /// What an `aria-sort` says of a column.
    pub(crate) fn direction(&self, order: Order) -> &'static str {
        match (self.order == order, self.descending) {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        }
    }

    /// All that fit, in their order. `matches` says whether a scrap, in small letters, is in a terminal's names and numbers.
    pub(crate) fn choose<'v>(
        &self,
        views: &'v [TerminalView],
        matches: impl Fn(&TerminalView, &str) -> bool,
    ) -> Vec<&'v TerminalView> {
        let scrap = self.search.to_lowercase();
        let wanted = |view: &&TerminalView| {
            self.state.is_none_or(|state| view.condition == state) && (scrap.is_empty() || matches(view, &scrap))
        };
        let mut chosen: Vec<&TerminalView> = views.iter().filter(wanted).collect();
        chosen.sort_by(|one, other| self.order.compare(one, other));
        if self.descending {
            chosen.reverse();
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::super::terminals::tests::view;
    use super::*;

    fn asked(query: &str) -> Asked {
        Asked::read(&Fields::parse(query.as_bytes()).expect("a query"))
    }

    #[test]
    fn an_address_says_what_is_shown_and_nonsense_shows_everything() {
        let plain = asked("");
        assert_eq!((plain.order, plain.descending, plain.state, plain.page), (Order::State, false, None, 1));
        assert_eq!(asked("sort=x&state=y&page=0"), plain);
        assert_eq!(asked("page=-3&sort=--until"), Asked { descending: true, ..plain.clone() });
        let full = asked("q=%E5%8F%97%E4%BB%98+%26&state=due&sort=-until&page=3");
        assert_eq!(full.address(), "/admin/terminals?q=%E5%8F%97%E4%BB%98%20%26&state=due&sort=-until&page=3");
        let (_, query) = full.paged(4).split_once('?').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a query");
        assert_eq!(asked(&query), Asked { page: 4, ..full.clone() });
        assert_eq!(full.ordered(Order::Until), full.address().replace("-until&page=3", "until&page=1"));
        assert_eq!((full.direction(Order::Until), full.direction(Order::Name)), ("descending", "none"));
    }

    #[test]
    fn terminals_are_filtered_by_state_and_ordered_by_each_column() {
        let mut views = [
            view(3, "う", Condition::Expired, None),
            view(1, "い", Condition::Due, Some("2027-01-21")),
            view(2, "あ", Condition::Due, Some("2026-12-10")),
        ];
        views[0].facts.place = "受付".into();
        views[1].facts.seen_at = Some(tegata_core::time::Timestamp(5));
        let numbers = |query: &str| -> Vec<u32> {
            asked(query)
                .choose(&views, |view, scrap| view.terminal.name == scrap)
                .iter()
                .map(|view| view.terminal.client.number())
                .collect()
        };
        assert_eq!(numbers(""), [3, 1, 2]);
        assert_eq!(numbers("sort=-state"), [2, 1, 3]);
        assert_eq!(numbers("sort=name"), [2, 1, 3]);
        assert_eq!(numbers("sort=number"), [1, 2, 3]);
        assert_eq!(numbers("sort=until"), [2, 1, 3], "what has no end comes last");
        assert_eq!(numbers("sort=place"), [3, 1, 2], "what has no place comes last");
        assert_eq!(numbers("sort=seen"), [3, 2, 1], "what was never here comes first");
        assert_eq!(numbers("state=due"), [1, 2]);
        assert_eq!(numbers("q=%E3%81%82"), [2]);
    }
}
