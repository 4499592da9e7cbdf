//! What is wrong with a configuration: every fault, in the order of the file.

use std::fmt;

use crate::text::{clip, inline};

/// Something wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line it is on, from 1.
    pub line: usize,
    /// Whether the configuration can be used all the same.
    pub kind: FaultKind,
    /// What is wrong and what to do: one line, safe to print.
    pub message: String,
}

/// How much is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and does something that was hardly meant.
    Warning,
}

impl FaultKind {
    /// The word in front of a message.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.kind.as_str(), self.message)
    }
}

/// Collects faults by their place in bytes.
pub(super) struct Faults {
    line_starts: Vec<usize>,
    found: Vec<(usize, Fault)>,
}

impl Faults {
    pub(super) fn of(source: &str) -> Self {
        let after_breaks = source.match_indices('\n').map(|(at, _)| at + 1);
        Self { line_starts: std::iter::once(0).chain(after_breaks).collect(), found: Vec::new() }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    pub(super) fn error(&mut self, at: usize, message: impl Into<String>) {
        self.push(at, FaultKind::Error, message.into());
    }

    pub(super) fn warning(&mut self, at: usize, message: impl Into<String>) {
        self.push(at, FaultKind::Warning, message.into());
    }

    fn push(&mut self, at: usize, kind: FaultKind, message: String) {
        self.found.push((at, Fault { line: self.line(at), kind, message }));
    }

    /// Takes in what else was found, but for lines on which something was found already: what
    /// could not be read there would be reported twice.
    pub(super) fn add_elsewhere(&mut self, other: Self) {
        let taken: Vec<usize> = self.found.iter().map(|(_, fault)| fault.line).collect();
        self.found.extend(other.found.into_iter().filter(|(_, it)| !taken.contains(&it.line)));
    }

    /// All faults in the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Fault> {
        self.found.sort_by_key(|(at, _)| *at);
        self.found.into_iter().map(|(_, fault)| fault).collect()
    }
}

/// What a word should have been: the known word that it resembles, or else a list of all.
pub(super) fn instead_of(word: &str, known: &[&str]) -> String {
    match closest(word, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are {}", quoted(known)),
    }
}

/// The known word that this one was probably meant to be: it begins like it, or differs by few
/// letters.
pub(super) fn closest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    const LONGEST: usize = 64;
    let word = clip(word, LONGEST).to_lowercase();
    if let Some(whole) = known.iter().find(|it| word.len() > 3 && it.starts_with(&word)) {
        return Some(whole);
    }
    let distance = |known: &&str| strsim::osa_distance(&word, known);
    let nearest = known.iter().copied().min_by_key(distance)?;
    (distance(&nearest) <= (nearest.chars().count() / 3).clamp(1, 3)).then_some(nearest)
}

/// Words in backticks, with commas between them.
pub(super) fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", inline(word))).collect();
    quoted.join(", ")
}
