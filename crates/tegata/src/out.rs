//! What commands print: lines and tables for people, one JSON document with `--json`; errors on standard error with the next step.

use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

/// How to print.
#[derive(Clone, Copy)]
pub struct Out {
    /// One JSON document instead of text.
    pub json: bool,
}

impl Out {
    /// Prints a result: `text` for people, `value` for programs.
    pub fn say(self, text: &str, value: &Value) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        if self.json { writeln!(stdout, "{value:#}") } else { writeln!(stdout, "{}", text.trim_end()) }
    }

    /// Prints rows: an aligned table for people, an array of objects for programs. A reader that stops early (`| head`) is no error.
    pub fn table(self, columns: &[&str], rows: &[Vec<String>]) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        let written = if self.json {
            let objects: Vec<Value> = rows
                .iter()
                .map(|row| {
                    columns
                        .iter()
                        .zip(row)
                        .map(|(name, cell)| ((*name).to_owned(), Value::from(cell.clone())))
                        .collect()
                })
                .map(Value::Object)
                .collect();
            writeln!(stdout, "{:#}", Value::Array(objects))
        } else {
            write!(stdout, "{}", aligned(columns, rows))
        };
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Says something beside the result, on standard error.
    pub fn note(self, text: &str) {
        let written = writeln!(std::io::stderr().lock(), "tegata: {text}");
        drop(written); // nowhere left to say that standard error is gone
    }

    /// Prints an error with everything that caused it, and gives the exit code.
    pub fn fail(self, error: &anyhow::Error) -> ExitCode {
        let mut stderr = std::io::stderr().lock();
        let text = told_once(error);
        let written = if self.json {
            writeln!(stderr, "{}", serde_json::json!({ "error": text }))
        } else {
            writeln!(stderr, "tegata: {text}")
        };
        drop(written); // nowhere left to say that standard error is gone
        ExitCode::FAILURE
    }
}

/// An error and its causes; a cause that the text before it already quotes is not said again.
fn told_once(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Columns as wide as their widest cell; a full-width letter takes two places on a terminal.
fn aligned(columns: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let widths: Vec<usize> =
        (0..columns.len()).map(|i| all.iter().map(|row| width(&row[i])).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in all {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, wide)| format!("{cell}{}", " ".repeat(wide - width(cell)))).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn width(text: &str) -> usize {
    text.chars().map(|c| if ('\u{1100}'..='\u{ffdc}').contains(&c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn japanese_cells_line_up() {
        let table = aligned(&["name", "n"], &[vec!["受付1".into(), "1".into()], vec!["a".into(), "2".into()]]);
        assert_eq!(table, "name   n\n受付1  1\na      2\n");
    }
}
