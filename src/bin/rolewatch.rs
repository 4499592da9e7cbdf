//! The command-line tool.

fn main() -> std::process::ExitCode {
    rolewatch::cli::main()
}
