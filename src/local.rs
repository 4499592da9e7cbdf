//! The local shell: files and standard input in, a terminal or a pipe out.

pub mod baseline_file;
mod files;
mod input;
mod output;
mod progress;
mod sort;
mod terminal;

pub use files::{Faults, Files, Problem};
pub use input::{Inputs, read};
pub use output::{Format, Output};
pub use progress::Progress;
pub use sort::{Sorted, Sorter};
pub use terminal::width;
