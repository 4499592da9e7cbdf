//! The command-line tool.

/// Judging makes and drops many small things, several batches at a time. The allocator of the
/// system takes several times as long over them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    rolewatch::cli::main()
}
