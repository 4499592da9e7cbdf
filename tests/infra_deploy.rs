//! The stack, deployed to the emulator by SAM and by Terraform: records in, alerts out, with the
//! function allowed what its role allows.
#![cfg(feature = "aws")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and its clock decides nothing"
)]

mod support;

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::deploy::{Copy, aws, package, tool};
use support::emulator::{Emulator, wait_until};
use support::tools::done;
use support::{finish, fixture, run};

/// Shows that the file beside the function is read: without it the alert is but high.
const EXPECTATIONS: &str = "[[role]]\nmatch = \"arn:aws:iam::*:role/*\"\nseverity = \"critical\"\n";

/// What was deployed.
struct Stack {
    emulator: Emulator,
    config: tempfile::TempDir,
    stream: String,
    topic: String,
    table: String,
    letters: String,
    role: String,
}

/// An emulator with a trail's log group, and a copy of `infra/` with the built package.
fn prepared() -> (Emulator, Copy, tempfile::TempDir) {
    let config = tempfile::tempdir().unwrap();
    std::fs::write(config.path().join("rolewatch.toml"), EXPECTATIONS).unwrap();
    let copy = Copy::with(&package(Some(&config.path().join("rolewatch.toml"))));
    // Alarms on queries are more than the emulator knows; the rest is as it stands.
    cut(&copy, "sam/template.yaml", "  DeliveryErrorsAlarm:\n", "  GivenUpAlarm:\n");
    let delivery = "resource \"aws_cloudwatch_metric_alarm\" \"delivery\"";
    cut(
        &copy,
        "terraform/alarms.tf",
        delivery,
        "resource \"aws_cloudwatch_metric_alarm\" \"silence\"",
    );
    let emulator = Emulator::enforcing();
    aws(&emulator.url(), "logs", "create_log_group", &json!({ "logGroupName": "trail" }));
    (emulator, copy, config)
}

/// Takes out of a file what lies from one line on until another one.
fn cut(copy: &Copy, path: &str, from: &str, until: &str) {
    let path = copy.path(path);
    let text = std::fs::read_to_string(&path).unwrap();
    let (from, until) = (text.find(from).unwrap(), text.find(until).unwrap());
    std::fs::write(path, text[..from].to_owned() + &text[until..]).unwrap();
}

fn architecture() -> &'static str {
    if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x86_64" }
}

fn by_sam() -> Stack {
    let (emulator, copy, config) = prepared();
    let mut sam = tool("sam");
    sam.env("AWS_ENDPOINT_URL", emulator.url()).arg("deploy");
    sam.arg("-t").arg(copy.path("sam/template.yaml")).args(["--stack-name", "rolewatch"]);
    sam.args(["--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]);
    sam.args(["--no-progressbar", "--parameter-overrides", "TrailLogGroupName=trail"]);
    done(sam.arg(format!("Architecture={}", architecture())));
    let url = emulator.url();
    let stack = json!({ "StackName": "rolewatch" });
    let described = aws(&url, "cloudformation", "describe_stacks", &stack);
    let outputs = described["Stacks"][0]["Outputs"].as_array().unwrap().clone();
    let output = |name: &str| {
        let found = outputs.iter().find(|it| it["OutputKey"] == name).expect(name);
        found["OutputValue"].as_str().unwrap().to_owned()
    };
    let role = json!({ "StackName": "rolewatch", "LogicalResourceId": "FunctionRole" });
    let role = aws(&url, "cloudformation", "describe_stack_resource", &role);
    Stack {
        stream: last_part(&output("StreamArn")),
        topic: output("NativeTopicArn"),
        table: output("TableName"),
        letters: output("DeadLetterQueueUrl"),
        role: role["StackResourceDetail"]["PhysicalResourceId"].as_str().unwrap().to_owned(),
        emulator,
        config,
    }
}

fn by_terraform() -> Stack {
    let (emulator, copy, config) = prepared();
    let url = emulator.url();
    let variables = json!({
        "package": "../package/bootstrap.zip", "trail_log_group_name": "trail",
        "architecture": architecture(),
    });
    let path = copy.path("terraform/terraform.tfvars.json");
    std::fs::write(path, variables.to_string()).unwrap();
    let terraform = |args: &[&str]| copy.terraform("terraform", Some(&url), args);
    terraform(&["init", "-no-color", "-input=false"]);
    terraform(&["apply", "-no-color", "-auto-approve"]);
    let again = terraform(&["plan", "-no-color", "-input=false"]);
    assert!(again.contains("No changes"), "{again}");
    let outputs: Value = serde_json::from_str(&terraform(&["output", "-json"])).unwrap();
    let output = |name: &str| outputs[name]["value"].as_str().unwrap().to_owned();
    Stack {
        stream: last_part(&output("stream_arn")),
        topic: outputs["topic_arns"]["value"]["native"].as_str().unwrap().to_owned(),
        table: output("table_name"),
        letters: output("dead_letter_queue_url"),
        role: "rolewatch".to_owned(),
        emulator,
        config,
    }
}

fn last_part(arn: &str) -> String {
    arn.rsplit(['/', ':']).next().unwrap().to_owned()
}

impl Stack {
    fn aws(&self, service: &str, call: &str, arguments: &Value) -> Value {
        aws(&self.emulator.url(), service, call, arguments)
    }

    /// What the function may do, as it was deployed.
    fn policy(&self) -> Value {
        let named = json!({ "RoleName": self.role, "PolicyName": "rolewatch" });
        match self.aws("iam", "get_role_policy", &named)["PolicyDocument"].take() {
            Value::String(text) => serde_json::from_str(&text).unwrap(),
            policy => policy,
        }
    }

    /// A queue that the topic may write to, and does.
    fn subscribed(&self) -> String {
        let (topic, queue) = self.emulator.topic_into_queue(&last_part(&self.topic));
        assert_eq!(topic, self.topic);
        let statement = json!({
            "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" },
            "Action": "sqs:SendMessage", "Resource": "*",
        });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
        let attributes = json!({ "Policy": policy.to_string() });
        let set = json!({ "QueueUrl": queue, "Attributes": attributes });
        self.aws("sqs", "set_queue_attributes", &set);
        queue
    }

    /// What is fed raises the alerts of a replay, and what was learned stands in the table.
    fn sends_alerts(&self) {
        self.allow(&self.policy(), None);
        let queue = self.subscribed();
        let (story, config) = (fixture("missing-mfa"), self.config.path().join("rolewatch.toml"));
        let (story, config) = (story.to_str().unwrap(), config.to_str().unwrap());
        let feed = ["feed", "--stream", &self.stream, story];
        let fed = finish(self.emulator.rolewatch(&feed).output().unwrap());
        assert_eq!(fed.status, 0, "{}", fed.err);
        let replayed = run(["replay", "--config", config, "--format", "jsonl", story]);
        let expected: BTreeSet<&str> = replayed.out.lines().collect();
        assert!(!expected.is_empty() && replayed.out.contains("\"severity\":\"critical\""));
        let mut messages = BTreeSet::new();
        wait_until("the alerts are there", || {
            messages.extend(self.emulator.drain(&queue));
            messages.len() >= expected.len()
        });
        assert_eq!(messages.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
        wait_until("what was learned is kept", || {
            let kept = self.aws("dynamodb", "scan", &json!({ "TableName": self.table }));
            kept["Items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|item| item["key"]["S"].as_str().is_some_and(|key| key.starts_with("role#")))
        });
        assert_eq!(self.emulator.drain(&self.letters), [""; 0]);
    }

    /// Whether the function is done with these bytes as a record of its stream.
    fn is_done_with(&self, bytes: &[u8]) -> bool {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let event = json!({ "Records": [{
            "eventID": "shardId-000000000000:1", "eventName": "aws:kinesis:record",
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "awsRegion": "us-east-1",
            "eventSourceARN": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", self.stream),
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": "p", "sequenceNumber": "1",
                "data": STANDARD.encode(bytes), "approximateArrivalTimestamp": now,
            },
        }]});
        let call = json!({ "FunctionName": "rolewatch", "Payload": event.to_string() });
        let answer = self.aws("lambda", "invoke", &call);
        let answer: Value = serde_json::from_str(answer["Payload"].as_str().unwrap()).unwrap();
        answer["batchItemFailures"].as_array().unwrap_or_else(|| panic!("{answer}")).is_empty()
    }

    /// The function's policy, with or without one of its actions. The emulator asks for
    /// `sns:PublishBatch`, an action that IAM does not have, where AWS asks for `sns:Publish`:
    /// whoever may do the one may do the other, with the same topics.
    fn allow(&self, policy: &Value, without: Option<&str>) {
        let mut policy = policy.clone();
        for statement in policy["Statement"].as_array_mut().unwrap() {
            if let Some(actions) = statement["Action"].as_array_mut() {
                actions.retain(|action| action.as_str() != without);
            } else if statement["Action"].as_str() == without {
                statement["Action"] = json!("sts:GetCallerIdentity");
            }
            if statement["Action"] == "sns:Publish" {
                statement["Action"] = json!(["sns:Publish", "sns:PublishBatch"]);
            }
        }
        let put = json!({
            "RoleName": self.role, "PolicyName": "rolewatch", "PolicyDocument": policy.to_string(),
        });
        self.aws("iam", "put_role_policy", &put);
    }
}

#[test]
fn deployed_by_terraform_records_become_alerts() {
    by_terraform().sends_alerts();
}

/// And a function that lacks one of its permissions gives the record back.
#[test]
fn deployed_by_sam_records_become_alerts_and_each_permission_is_needed() {
    let stack = by_sam();
    let policy = stack.policy();
    stack.sends_alerts();
    // What it may not do it tries again for as long as it has time.
    let brief = json!({ "FunctionName": "rolewatch", "Timeout": 4 });
    stack.aws("lambda", "update_function_configuration", &brief);
    let story = |name: &str| std::fs::read(fixture(name).join("events.jsonl")).unwrap();
    let needed = [
        ("sns:Publish", story("root")),
        ("dynamodb:BatchGetItem", story("wrong-external-id")),
        ("dynamodb:PutItem", story("federation-token")),
        ("sqs:SendMessage", b"{\"eventName\": \"AssumeRole\", ".to_vec()),
    ];
    for (action, record) in needed {
        stack.allow(&policy, Some(action));
        assert!(!stack.is_done_with(&record), "done without {action}");
        stack.allow(&policy, None);
        wait_until(&format!("it is done with {action}"), || stack.is_done_with(&record));
    }
}
