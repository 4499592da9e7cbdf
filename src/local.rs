//! The local shell: files and standard input in, a terminal or a pipe out.

pub mod baseline_file;
mod input;
mod output;
mod progress;
mod terminal;

pub use input::{Inputs, Problem, read};
pub use output::{Format, Output};
pub use progress::Progress;
pub use terminal::width;
