//! Each module uses only those that stand above it in `lib.rs`, and the core touches neither
//! files nor the environment.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

use std::path::Path;

/// The first module that may touch the world.
const FIRST_SHELL: &str = "local";

fn modules() -> Vec<String> {
    let lib = std::fs::read_to_string(source("lib.rs")).unwrap();
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

fn source(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)
}

/// Every source file of a module, its submodules too, without tests.
fn files_of(module: &str) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = walkdir::WalkDir::new(source(module))
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .filter(|path| path.file_stem().is_some_and(|it| it != "tests"))
        .filter(|path| path.components().all(|it| it.as_os_str() != "tests"))
        .collect();
    let own = source(&format!("{module}.rs"));
    assert!(own.is_file(), "module {module} is not at {}", own.display());
    files.push(own);
    files
}

/// The code of a file up to its tests.
fn code_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]").next().unwrap().to_owned()
}

#[test]
fn a_module_uses_only_those_above_it() {
    let modules = modules();
    let mut broken = Vec::new();
    for (at, module) in modules.iter().enumerate() {
        for path in files_of(module) {
            let code = code_of(&path);
            for used in code.split("crate::").skip(1) {
                let name: String =
                    used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let place = modules.iter().position(|it| *it == name);
                let place = place.unwrap_or_else(|| panic!("{}: crate::{name}", path.display()));
                if place > at {
                    broken.push(format!("{} uses {name}, which stands below it", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_core_touches_nothing_but_values() {
    let modules = modules();
    let core = modules.iter().take_while(|name| *name != FIRST_SHELL);
    let mut broken = Vec::new();
    for module in core {
        for path in files_of(module) {
            let code = code_of(&path);
            for outside in [
                "std::fs",
                "std::env",
                "std::net::Tcp",
                "std::process",
                "::now()",
                "stdin()",
                "stdout()",
            ] {
                if code.contains(outside) {
                    broken.push(format!("{} uses {outside}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_module_file_is_declared() {
    let declared = modules();
    for entry in std::fs::read_dir(source("")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            name == "lib" || name == "bin" || declared.contains(&name),
            "{} is not declared in lib.rs",
            path.display()
        );
    }
}

/// Whoever only replays files builds, and trusts, nothing that speaks to a network.
#[test]
fn the_default_build_has_nothing_of_aws_in_it() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-e", "normal", "--prefix", "none", "-f", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"serde_json"), "{names:?}");
    for foreign in ["aws", "tokio", "hyper", "lambda", "rustls", "futures"] {
        let found: Vec<_> = names.iter().filter(|name| name.starts_with(foreign)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}
