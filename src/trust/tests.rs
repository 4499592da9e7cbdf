//! The table of verdicts, the properties, and hostile documents.

mod doors;
mod hostile;
mod naive;
mod secrets;
mod sound;
mod verdicts;
