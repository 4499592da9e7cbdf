//! Alerts onto standard output.

use std::io::{self, BufWriter, ErrorKind, Write};

use clap::ValueEnum;

use crate::alert::{Alert, table, to_line};
use crate::pipeline::Alerts;

/// How alerts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person.
    Table,
    /// One JSON object a line.
    Jsonl,
}

/// Prints alerts. A reader that has closed its end wants no more: that is no error, and what
/// follows is judged and counted without being printed.
pub struct Output<W: Write> {
    to: BufWriter<W>,
    format: Format,
    closed: bool,
}

impl<W: Write> Output<W> {
    /// Prints to `to`.
    pub fn new(to: W, format: Format) -> Self {
        Self { to: BufWriter::new(to), format, closed: false }
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// The destination's, unless its reader has closed it.
    pub fn flush(&mut self) -> io::Result<()> {
        let result = self.to.flush();
        self.forgive_closed(result)
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
        let result = match self.format {
            Format::Table => self.to.write_all(table::to_text(alert).as_bytes()),
            Format::Jsonl => writeln!(self.to, "{}", to_line(alert)),
        };
        self.forgive_closed(result)
    }
}
