//! `tegata forecast`: how many terminals' certificates end in which week, as a chart for people and as a list for programs.

use std::path::Path;

use serde_json::json;
use tegata_core::forecast::{self, Ending, WeekNumber};
use tegata_core::id::CustomerId;
use tegata_core::time::Clock;

use crate::deployment;
use crate::out::Out;
use crate::system::SystemClock;

/// What `forecast` takes.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tegata forecast\n  tegata forecast --weeks 26 --customer u00000001\n  tegata --json forecast"
)]
pub struct Args {
    /// How many weeks to look ahead, this one included.
    #[arg(long, default_value_t = 158, value_parser = clap::value_parser!(u32).range(1..=520))]
    weeks: u32,
    /// Only terminals of this customer.
    #[arg(long)]
    customer: Option<CustomerId>,
}

/// The widest bar, in characters.
const WIDEST: u32 = 50;

/// Runs the command.
pub async fn run(args: Args, path: &Path, out: Out) -> anyhow::Result<()> {
    let checked = deployment::config(path)?;
    let store = deployment::register(&checked).await?;
    let now = SystemClock.now();
    let first = WeekNumber::of(now);
    let between = (now, forecast::horizon(first, args.weeks));
    let scope = deployment::operator().scope();
    let profile = checked.terminal_profile.name.clone();
    let known = store.reader().endings(scope, &profile, between, args.customer).await?;
    let weeks = forecast::weeks(first, args.weeks, &known);
    let cliffs = forecast::cliffs(&weeks);
    let value = json!({
        "weeks": weeks.iter().map(|(week, ending)| json!({
            "monday": week.monday().to_string(),
            "terminals": ending.terminals,
            "fetched": ending.fetched,
            "cliff": cliffs.contains(week),
        })).collect::<Vec<_>>(),
    });
    Ok(out.say(&chart(&weeks, &cliffs), &value)?)
}

/// One line for each week in which something ends; stretches in which nothing does are one line together.
fn chart(weeks: &[(WeekNumber, Ending)], cliffs: &[WeekNumber]) -> String {
    let most = weeks.iter().map(|(_, ending)| ending.terminals).max().unwrap_or(0);
    let total: u32 = weeks.iter().map(|(_, ending)| ending.terminals).sum();
    if most == 0 {
        return format!("no certificate that is in use ends within {} weeks", weeks.len());
    }
    let mut text = format!("week of      terminals whose certificate ends ({total} within {} weeks)\n", weeks.len());
    let mut quiet = 0;
    for (week, ending) in weeks {
        if ending.terminals == 0 {
            quiet += 1;
            continue;
        }
        text += &pause(quiet);
        quiet = 0;
        let length = |count: u32| (count * WIDEST).div_ceil(most) as usize;
        let fetched = length(ending.fetched).min(length(ending.terminals));
        let bar = "#".repeat(length(ending.terminals) - fetched) + &"+".repeat(fetched);
        let cliff = if cliffs.contains(week) { "  <- many at once" } else { "" };
        text += &format!("{}  {:>7}  {bar}{cliff}\n", week.monday(), ending.terminals);
    }
    text += &pause(quiet);
    text + "# not renewed yet, + a newer certificate was fetched and not used yet\n"
}

fn pause(weeks: u32) -> String {
    match weeks {
        0 => String::new(),
        1 => "             ... a week without any\n".to_owned(),
        weeks => format!("             ... {weeks} weeks without any\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_shows_each_week_its_bar_and_the_cliff() {
        let known = [
            (WeekNumber(2970), Ending { terminals: 3, fetched: 1 }),
            (WeekNumber(2975), Ending { terminals: 100, fetched: 50 }),
        ];
        let weeks = forecast::weeks(WeekNumber(2970), 10, &known);
        let text = chart(&weeks, &forecast::cliffs(&weeks));
        let lines: Vec<&str> = text.lines().collect();
        let monday = |week: i64| WeekNumber(week).monday().to_string();
        assert!(lines[0].contains("103 within 10 weeks"), "{text}");
        assert_eq!(lines[1], format!("{}        3  #+", monday(2970)));
        assert_eq!(lines[2], "             ... 4 weeks without any");
        let bar = "#".repeat(25) + &"+".repeat(25);
        assert_eq!(lines[3], format!("{}      100  {bar}  <- many at once", monday(2975)));
        assert_eq!(lines[4], "             ... 4 weeks without any");
        assert!(chart(&forecast::weeks(WeekNumber(1), 5, &[]), &[]).contains("no certificate"));
    }
}
