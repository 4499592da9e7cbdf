//! What is known of the terminal.

use std::io::IsTerminal;

use crate::alert::table::DEFAULT_WIDTH;

/// Columns for the table on standard output: the terminal's, unless `COLUMNS` says otherwise, or
/// [`DEFAULT_WIDTH`] where it goes elsewhere.
#[must_use]
pub fn width() -> usize {
    if !std::io::stdout().is_terminal() {
        return DEFAULT_WIDTH;
    }
    let set = std::env::var("COLUMNS").ok().and_then(|it| it.parse().ok()).filter(|it| *it > 0);
    let measured = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    set.or_else(measured).unwrap_or(DEFAULT_WIDTH)
}
