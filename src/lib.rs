//! rolewatch watches who puts on which AWS IAM role.
//!
//! # The way through
//!
//! ```text
//! bytes → decode → wire records → cloudtrail → events → detect → alerts, changes
//!                                                        ↑                 ↓
//!                                                      state ←── pipeline ─┴→ publish
//! ```
//!
//! The modules below stand in reading order, and each uses only those above it; a test holds
//! them to that. Down to [`detect`] everything is a function of values: no clock, no
//! environment, no files, no network. Time is the event's, so a replay, a test and a live
//! stream run the same code, and an incident replays to the same bytes.
//!
//! # Invariants
//!
//! 1. Nothing is remembered before the alert that it caused was accepted. A crash repeats an
//!    alert under the same id and never loses one.
//! 2. Every record is accounted for; the figures of the summary add up.
//! 3. Bad input costs itself and nothing else: neither its neighbours nor the run.
//! 4. Memory for what is learned is bounded per role and caller; refused calls teach nothing.
//! 5. What raised an alert is not normal because it came again.
//! 6. Secrets do not come out: no `sessionToken` passes [`cloudtrail`], no ExternalId is kept
//!    in clear.
//! 7. Text from a log is hostile: it reaches an output only through that output's escaping.
//! 8. Facts join: commutative, associative, idempotent.

pub mod text;

pub mod id;

pub mod severity;

pub mod event;

pub mod lineage;

pub mod config;

pub mod json;

pub mod cloudtrail;

pub mod decode;

pub mod baseline;

pub mod profile;

pub mod surprise;

pub mod finding;

pub mod state;

pub mod rules;

pub mod alert;

pub mod detect;

pub mod report;

pub mod pipeline;

pub mod memory;

pub mod local;

pub mod cli;
