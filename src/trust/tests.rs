//! The table of verdicts, the properties, and hostile documents.

mod hostile;
mod naive;
mod secrets;
mod verdicts;
