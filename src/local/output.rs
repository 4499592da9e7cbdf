//! Alerts onto standard output.

use std::io::{self, BufWriter, ErrorKind, Write};

use clap::ValueEnum;

use super::Progress;
use crate::alert::{Alert, ocsf, table, to_line};
use crate::pipeline::Alerts;

/// How alerts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person.
    Table,
    /// One JSON object a line.
    Jsonl,
    /// One OCSF Detection Finding a line.
    Ocsf,
}

/// Prints alerts. A reader that has closed its end wants no more: that is no error, and what
/// follows is judged and counted without being printed.
pub struct Output<W: Write> {
    to: BufWriter<W>,
    format: Format,
    width: usize,
    progress: Progress,
    closed: bool,
}

impl<W: Write> Output<W> {
    /// Prints to `to`, a table with lines of at most `width` columns.
    pub fn new(to: W, format: Format, width: usize) -> Self {
        let (to, progress) = (BufWriter::new(to), Progress::hidden());
        Self { to, format, width, progress, closed: false }
    }

    /// Prints to the terminal on which `progress` is drawn: alerts appear at once, and the line
    /// steps aside for them.
    #[must_use]
    pub fn beside(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// The destination's, unless its reader has closed it.
    pub fn flush(&mut self) -> io::Result<()> {
        let result = self.to.flush();
        self.forgive_closed(result)
    }

    /// Whether the reader has closed its end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn forgive_closed(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other,
        }
    }
}

impl<W: Write> Alerts for Output<W> {
    type Error = io::Error;

    fn publish(&mut self, alert: &Alert) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let text = match self.format {
            Format::Table => table::to_text(alert, self.width),
            Format::Jsonl => to_line(alert) + "\n",
            Format::Ocsf => ocsf::to_line(alert) + "\n",
        };
        let result = if self.progress.is_drawn() {
            let to = &mut self.to;
            self.progress.beside(|| to.write_all(text.as_bytes()).and_then(|()| to.flush()))
        } else {
            self.to.write_all(text.as_bytes())
        };
        self.forgive_closed(result)
    }
}
