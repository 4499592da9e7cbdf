//! The local shell: files and standard input in, a terminal or a pipe out.

mod input;
mod output;

pub use input::{Inputs, Problem, read};
pub use output::{Format, Output};
