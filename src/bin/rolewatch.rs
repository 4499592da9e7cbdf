//! The command-line tool.

/// Judging makes many small values that live for a batch; the system's allocator takes twice as
/// long over them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    rolewatch::cli::main()
}
