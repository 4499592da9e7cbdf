//! Progress on a terminal, and nothing in a pipe.

use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::text::plural;

/// How far a long run is, drawn on standard error where that is a terminal. Clones draw the same
/// line.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Draws nothing.
    #[must_use]
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    /// Draws on standard error, or nothing where that is no terminal.
    #[must_use]
    pub fn on_stderr() -> Self {
        let bar = ProgressBar::no_length().with_style(style("{spinner} reading: {msg}"));
        if !bar.is_hidden() {
            // A large file is read in one step; the turning sign tells that something goes on.
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self { bar }
    }

    /// Whether anything is drawn.
    #[must_use]
    pub fn is_drawn(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// So much was read so far.
    pub fn read(&self, files: u64, bytes: u64) {
        self.bar.set_message(format!("{}, {}", plural(files, "file", "files"), HumanBytes(bytes)));
    }

    /// `events` are to be judged.
    pub fn judge(&self, events: u64) {
        self.bar
            .set_style(style("{spinner} judging: {human_pos} of {human_len} events [{bar:30}]"));
        self.bar.set_position(0);
        self.bar.set_length(events);
    }

    /// `records` are to be put.
    pub fn put(&self, records: u64) {
        self.bar
            .set_style(style("{spinner} putting: {human_pos} of {human_len} records [{bar:30}]"));
        self.bar.set_position(0);
        self.bar.set_length(records);
    }

    /// `records` were taken from a stream, and it is waited for more.
    pub fn follow(&self, records: u64) {
        self.bar.set_style(style("{spinner} following: {msg}"));
        self.bar.set_message(plural(records, "record", "records"));
    }

    /// `letters` were put back so far.
    pub fn put_back(&self, letters: u64) {
        self.bar.set_style(style("{spinner} putting back: {msg}"));
        self.bar.set_message(plural(letters, "dead letter", "dead letters"));
    }

    /// `events` more were judged.
    pub fn judged(&self, events: u64) {
        self.bar.inc(events);
    }

    /// Runs `print` with the line taken away, so that what is printed stands by itself.
    pub fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// `records` more were put.
    pub fn was_put(&self, records: u64) {
        self.bar.inc(records);
    }

    /// Takes the line away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants that a test draws; a default line is no reason to stop a run.
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}
