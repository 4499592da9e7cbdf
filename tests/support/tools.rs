//! Tools in Python that tests install for themselves, at versions that stand there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of commands of an environment that holds these packages. One process at a time
/// installs it; the others wait.
pub fn venv(name: &str, packages: &[&str]) -> PathBuf {
    prepared(name, &packages.join(" "), |venv| {
        done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        done(Command::new(venv.join("bin/python")).args(pip).args(packages));
    })
    .join("bin")
}

/// A folder that is made once, and again when `what` it holds has changed.
pub fn prepared(name: &str, what: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (folder, made) = (all.join(name), all.join(name).join("installed.txt"));
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::File::create(all.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if std::fs::read_to_string(&made).is_ok_and(|it| it == what) {
        return folder;
    }
    make(&folder);
    std::fs::write(made, what).unwrap();
    folder
}

/// Runs a command that has to succeed.
pub fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        panic!(
            "these tests need python3 with venv and pip, and a package index: {command:?}: {error}"
        )
    });
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}\n{wrong}");
    output
}
