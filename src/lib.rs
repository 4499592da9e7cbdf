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
//! A batch is one transaction ([`pipeline`]): it is judged over an overlay on the state, and only
//! when its alerts were accepted and its changes saved does the overlay reach the memory. With the
//! feature `aws` a Lambda function and three commands drive it from a Kinesis stream; without it
//! nothing of AWS, and nothing asynchronous, is built.
//!
//! # Invariants
//!
//! 1. Nothing is remembered before the alert that it caused was accepted. A crash repeats an
//!    alert under the same id and never loses one.
//! 2. Every record is accounted for; the figures of the summary add up.
//! 3. Bad input costs itself and nothing else: neither its neighbours nor the run. What can never
//!    be judged leaves a stream as a dead letter; a failure that can pass stops at its record,
//!    which comes again.
//! 4. Memory for what is learned is bounded per role and caller; refused calls teach nothing.
//! 5. What raised an alert is not normal because it came again.
//! 6. Secrets do not come out: no `sessionToken` passes [`cloudtrail`], no ExternalId is kept
//!    in clear.
//! 7. Text from a log is hostile: it reaches an output only through that output's escaping.
//! 8. Facts join: commutative, associative, idempotent. Counts are added as increments: they may
//!    be too high after a crash, never too low for want of a merge.
//! 9. Nothing that may matter to the next judgement is acknowledged before it is saved, where
//!    there is a [`store`] to save it in.
//! 10. A trust policy explains a caller only if its writing raised no alert, no grant has refuted
//!     it, and the caller did not write it.

pub mod text;

pub mod id;

pub mod glob;

pub mod map;

pub mod severity;

pub mod event;

pub mod trust;

pub mod authorization;

pub mod lineage;

pub mod config;

pub mod starter;

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

pub mod dead_letter;

pub mod pipeline;

pub mod store;

pub mod kinesis;

pub mod memory;

#[cfg(feature = "aws")]
pub mod metrics;

pub mod local;

#[cfg(feature = "aws")]
pub mod aws;

pub mod cli;
