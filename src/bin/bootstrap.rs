//! The Lambda function.

fn main() -> std::process::ExitCode {
    rolewatch::aws::lambda::main()
}
