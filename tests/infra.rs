//! What is deployed fits the code: what the feed lets through, what the function may do, what it
//! is told, what the alarms watch. And the linters have nothing to say that is not answered.
#![cfg(feature = "aws")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

#[path = "support/pattern.rs"]
mod pattern;
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pattern::Pattern;
use rolewatch::cloudtrail;
use rolewatch::metrics::{Metrics, StoreFigures};
use serde_json::{Map, Value, json};
use support::deploy::{Copy, infra, template, tool};
use support::tools::done;
use support::{fixture, run};

fn resources(parameters: &Value) -> Map<String, Value> {
    template(parameters, &Map::new())
}

fn passes(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{command:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_template_is_clean() {
    let path = infra("sam/template.yaml");
    passes(tool("cfn-lint").arg(&path));
    passes(tool("sam").args(["validate", "--lint", "-t"]).arg(&path));
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains("cfn-lint"), "a finding that is ignored wants its reason here");
}

#[test]
fn the_module_is_clean() {
    let copy = Copy::with(b"package");
    copy.terraform("terraform", None, &["fmt", "-check", "-recursive", "-diff"]);
    for folder in ["terraform", "terraform/example"] {
        copy.terraform(folder, None, &["init", "-no-color", "-input=false"]);
        let said = copy.terraform(folder, None, &["validate", "-no-color"]);
        assert!(said.contains("The configuration is valid"), "{said}");
    }
    let plan = ["plan", "-no-color", "-input=false", "-var", "trail_log_group_name=trail"];
    let said = copy.terraform("terraform/example", None, &plan);
    assert!(said.contains("0 to change, 0 to destroy"), "{said}");
}

#[test]
fn policies_are_clean_and_every_suppression_has_its_reason() {
    let checkov = |at: &str, path: &str, framework: &str| {
        let quiet = ["--skip-download", "--compact", "--quiet", "--framework", framework, at];
        passes(tool("checkov").args(quiet).arg(infra(path)));
    };
    checkov("-f", "sam/template.yaml", "cloudformation");
    checkov("-d", "terraform", "terraform");
    let (mut skips, mut reasons) = (0, 0);
    for entry in walkdir::WalkDir::new(infra("")).into_iter().map(Result::unwrap) {
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        let is_code = entry.path().extension().is_some_and(|it| it == "tf" || it == "yaml");
        for (line, next) in text.lines().zip(text.lines().skip(1)).filter(|_| is_code) {
            let (skip, reason) = match line.trim().strip_prefix("#checkov:skip=") {
                Some(skip) => skip.split_once(':').expect("a reason"),
                None => match line.trim().strip_prefix("- id: CKV_") {
                    Some(id) => (id, next.trim().strip_prefix("comment: ").expect("a reason")),
                    None => continue,
                },
            };
            skips += 1;
            reasons += usize::from(reason.split(' ').count() > 5);
            assert!(!skip.is_empty());
        }
    }
    assert_eq!(skips, reasons, "a suppression without a reason");
    assert!(skips > 10, "{skips}");
}

#[test]
fn the_feed_lets_through_what_is_read_and_nothing_else() {
    let filtered = resources(&json!({ "TrailLogGroupName": "trail" }));
    let text = filtered["Subscription"]["Properties"]["FilterPattern"].as_str().unwrap();
    assert!(text.len() <= 1_024, "CloudWatch Logs takes no more: {}", text.len());
    let pattern = Pattern::parse(text);
    let ours: BTreeSet<_> = cloudtrail::ours().collect();
    let named: BTreeSet<_> = pattern.pairs().into_iter().collect();
    assert_eq!(named, ours);
    for (source, name) in &ours {
        let record = |source: &str, name: &str| json!({"eventSource": source, "eventName": name});
        assert!(pattern.matches(&record(source, name)));
        assert!(!pattern.matches(&record("ec2.amazonaws.com", name)));
        assert!(!pattern.matches(&record(source, &name.to_lowercase())));
    }
    let everything = resources(&json!({ "TrailLogGroupName": "trail", "Feed": "everything" }));
    assert_eq!(everything["Subscription"]["Properties"]["FilterPattern"], "");
}

#[test]
fn the_filter_agrees_with_the_reader_on_a_month_of_records() {
    let filtered = resources(&json!({ "TrailLogGroupName": "trail" }));
    let pattern =
        Pattern::parse(filtered["Subscription"]["Properties"]["FilterPattern"].as_str().unwrap());
    let (mut passed, mut held) = (BTreeSet::new(), 0);
    for entry in walkdir::WalkDir::new(fixture("month")).into_iter().map(Result::unwrap) {
        for record in records(entry.path()) {
            let part = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            let (source, name) = (part("eventSource"), part("eventName"));
            let lets_through = pattern.matches(&record);
            assert_eq!(lets_through, cloudtrail::is_ours(&source, &name), "{record}");
            held += usize::from(!lets_through);
            if lets_through {
                passed.insert(name);
            }
        }
    }
    assert!(passed.len() >= 10 && held > 5_000, "{passed:?}, {held}");
}

/// The records of a file of the trail; none of any other file.
fn records(path: &Path) -> Vec<Value> {
    if !path.to_str().is_some_and(|it| it.ends_with(".json.gz")) {
        return Vec::new();
    }
    let file = flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap());
    let mut file: Value = serde_json::from_reader(std::io::BufReader::new(file)).unwrap();
    serde_json::from_value(file["Records"].take()).unwrap()
}

/// What Lambda does in the name of the function, and not the function itself.
const BY_LAMBDA: &[&str] = &[
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    // What lies in the stream, the topics, the queue and the table is encrypted with the key.
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];

/// Calls of the modules that the function is made of.
fn calls() -> BTreeSet<String> {
    let source = |name: &str| {
        let path = infra("../src/aws").join(name);
        std::fs::read_to_string(path.with_extension("rs")).unwrap_or_default()
    };
    let mut calls = BTreeSet::new();
    for line in source("lambda").lines().filter_map(|line| line.strip_prefix("use super::")) {
        let service = line.split(':').next().unwrap();
        let text: String = source(service).split_whitespace().collect();
        for (at, _) in text.match_indices("client.") {
            let call = &text[at + "client.".len()..];
            let name: String =
                call.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if call[name.len()..].starts_with("()") && name != "clone" {
                calls.insert(action(service, &name));
            }
        }
    }
    // Only the tool lists a table: `baseline show --table`.
    assert!(calls.remove("dynamodb:Scan") && !source("lambda").contains(".scan("));
    calls
}

fn action(service: &str, call: &str) -> String {
    // There is no permission of its own for publishing several at once.
    let call = call.strip_suffix("publish_batch").map_or(call, |_| "publish");
    let words = call.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
    format!("{service}:{}", words.collect::<String>())
}

fn allowed(role: &Value) -> BTreeSet<String> {
    let statements = &role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
    let mut allowed = BTreeSet::new();
    for statement in statements.as_array().unwrap() {
        assert!(!statement["Resource"].to_string().contains("\"*\""), "{statement}");
        match &statement["Action"] {
            Value::Array(actions) => {
                allowed.extend(actions.iter().map(|it| it.as_str().unwrap().to_owned()));
            }
            action => drop(allowed.insert(action.as_str().unwrap().to_owned())),
        }
    }
    assert!(allowed.iter().all(|action| !action.contains('*')), "{allowed:?}");
    allowed
}

#[test]
fn the_function_may_do_what_it_does_and_no_more() {
    let role = resources(&json!({}))["FunctionRole"].clone();
    let needed: BTreeSet<String> =
        calls().into_iter().chain(BY_LAMBDA.iter().map(|it| (*it).to_owned())).collect();
    assert_eq!(allowed(&role), needed);
    assert!(needed.contains("sns:Publish") && needed.contains("dynamodb:PutItem"), "{needed:?}");
}

/// The statements of a policy, each in a line: who may do what with what, on which condition.
fn statements(policy: &Value) -> Vec<String> {
    let words = |value: &Value| match value {
        Value::Array(all) => {
            all.iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>().join(" ")
        }
        value => value.as_str().unwrap().to_owned(),
    };
    let line = |statement: &Value| {
        assert_eq!(statement["Effect"], "Allow");
        let mut line = String::new();
        for (kind, who) in statement["Principal"].as_object().into_iter().flatten() {
            line += &format!("{kind} {} may ", words(who));
        }
        line += &words(&statement["Action"]);
        if !statement["Resource"].is_null() {
            line += &format!(" on {}", words(&statement["Resource"]));
        }
        for (operator, demands) in statement["Condition"].as_object().into_iter().flatten() {
            for (key, value) in demands.as_object().unwrap() {
                line += &format!(" if {operator} {key} {}", words(value));
            }
        }
        line
    };
    policy["Statement"].as_array().unwrap().iter().map(line).collect()
}

/// Every right that anybody gets, in words that a person has read. What is on `*` is the key's own
/// policy, where it means this key.
#[test]
fn nobody_may_do_more_than_is_listed_here() {
    let all = resources(&json!({
        "TrailLogGroupName": "trail", "SenderAccountId": "444455556666", "MaximumRetryAttempts": 9,
        "TextTopic": "arn:aws:sns:us-east-1:111122223333:theirs", "FurtherKeyArns": "KEY1,KEY2",
    }));
    let of = |resource: &str, policy: &str| statements(&all[resource]["Properties"][policy]);
    let role =
        |resource: &str| statements(&all[resource]["Properties"]["Policies"][0]["PolicyDocument"]);
    let ours = "if StringEquals aws:SourceAccount 000000000000";
    let via = |services: &[&str]| {
        let services: Vec<_> =
            services.iter().map(|it| format!("{it}.us-east-1.amazonaws.com")).collect();
        format!("if StringEquals kms:ViaService {}", services.join(" "))
    };
    assert_eq!(
        of("EncryptionKey", "KeyPolicy"),
        [
            "AWS arn:aws:iam::000000000000:root may kms:* on *",
            &format!(
                "Service cloudwatch.amazonaws.com may kms:Decrypt kms:GenerateDataKey on * {ours}"
            ),
            &format!("Service sns.amazonaws.com may kms:Decrypt kms:GenerateDataKey on * {ours}"),
            "Service logs.us-east-1.amazonaws.com may kms:Encrypt kms:Decrypt kms:ReEncryptFrom \
             kms:ReEncryptTo kms:GenerateDataKey kms:DescribeKey on * if ArnEquals \
             kms:EncryptionContext:aws:logs:arn \
             arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/rolewatch",
        ]
    );
    assert_eq!(
        of("FeedRole", "AssumeRolePolicyDocument"),
        ["Service logs.amazonaws.com may sts:AssumeRole if StringLike aws:SourceArn \
          arn:aws:logs:us-east-1:000000000000:* arn:aws:logs:us-east-1:444455556666:*"]
    );
    assert_eq!(
        role("FeedRole"),
        [
            "kinesis:PutRecord on <EventStream.Arn>",
            &format!("kms:GenerateDataKey on <EncryptionKey.Arn> {}", via(&["kinesis"])),
            &format!("kms:GenerateDataKey on KEY1 KEY2 {}", via(&["kinesis"])),
        ]
    );
    let destination = &all["SenderDestination"]["Properties"]["DestinationPolicy"];
    assert_eq!(
        statements(&serde_json::from_str(destination.as_str().unwrap()).unwrap()),
        ["AWS 444455556666 may logs:PutSubscriptionFilter on \
          arn:aws:logs:us-east-1:000000000000:destination:rolewatch"]
    );
    assert_eq!(
        of("AlarmTopicPolicy", "PolicyDocument"),
        [format!("Service cloudwatch.amazonaws.com may sns:Publish on <AlarmTopic.Ref> {ours}")]
    );
    assert_eq!(
        of("FunctionRole", "AssumeRolePolicyDocument"),
        ["Service lambda.amazonaws.com may sts:AssumeRole"]
    );
    assert_eq!(
        role("FunctionRole"),
        [
            "kinesis:DescribeStream kinesis:DescribeStreamSummary kinesis:GetRecords \
             kinesis:GetShardIterator kinesis:ListShards on <EventStream.Arn>",
            "sns:Publish on <NativeAlertTopic.Ref> arn:aws:sns:us-east-1:111122223333:theirs",
            "sqs:SendMessage on <DeadLetterQueue.Arn>",
            "dynamodb:BatchGetItem dynamodb:PutItem on <BaselineTable.Arn>",
            "logs:CreateLogStream logs:PutLogEvents on <FunctionLog.Arn>",
            &format!(
                "kms:Decrypt kms:GenerateDataKey on <EncryptionKey.Arn> {}",
                via(&["dynamodb", "kinesis", "s3", "sns", "sqs"])
            ),
            &format!(
                "kms:DescribeKey kms:Encrypt kms:ReEncryptFrom kms:ReEncryptTo on \
                 <EncryptionKey.Arn> {}",
                via(&["dynamodb"])
            ),
            &format!("kms:Decrypt kms:GenerateDataKey on KEY1 KEY2 {}", via(&["kinesis", "sns"])),
            "s3:PutObject on <GivenUpBucket.Arn>/*",
            "s3:ListBucket on <GivenUpBucket.Arn>",
        ]
    );
    let roles = all.values().filter(|it| it["Type"] == "AWS::IAM::Role").count();
    let policies = all.values().filter(|it| it.to_string().contains("Statement")).count();
    assert_eq!((roles, policies), (2, 5), "one that is not listed here");
}

#[test]
fn whoever_gives_up_records_keeps_them() {
    let without = resources(&json!({}));
    assert!(!without.contains_key("GivenUpBucket") && !without.contains_key("GivenUpAlarm"));
    for limit in ["MaximumRecordAge", "MaximumRetryAttempts"] {
        let with = resources(&json!({ limit: 100 }));
        assert!(with.contains_key("GivenUpBucket"));
        let to = &with["StreamMapping"]["Properties"]["DestinationConfig"]["OnFailure"];
        assert_eq!(to["Destination"], "<GivenUpBucket.Arn>");
        let more: BTreeSet<_> = allowed(&with["FunctionRole"]);
        assert!(more.contains("s3:PutObject") && more.contains("s3:ListBucket"), "{more:?}");
        let counted = &with["StreamMapping"]["Properties"]["MetricsConfig"]["Metrics"];
        assert_eq!(counted, &json!(["EventCount"]));
        // What the bucket took is counted apart from what it did not take.
        let alarms = [
            ("GivenUpAlarm", "OnFailureDestinationDeliveredEventCount"),
            ("LostAlarm", "DroppedEventCount"),
        ];
        for (alarm, metric) in alarms {
            let alarm = &with[alarm]["Properties"];
            assert_eq!(alarm["Dimensions"][0]["Value"], "<StreamMapping.Ref>");
            assert_eq!(alarm["MetricName"], metric);
        }
    }
}

#[test]
fn the_function_is_told_what_it_reads() {
    let parameters = json!({ "TextTopic": "create" });
    let function = &resources(&parameters)["Function"]["Properties"];
    let told = function["Environment"]["Variables"].as_object().unwrap();
    let settings = std::fs::read_to_string(infra("../src/aws/settings.rs")).unwrap();
    let mut read = BTreeSet::new();
    for part in settings.split("variable(\"").skip(1) {
        read.insert(part.split('"').next().unwrap().to_owned());
    }
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), read);
    assert_eq!(told["ROLEWATCH_TOPICS"], "native:<NativeAlertTopic.Ref>,text:<TextAlertTopic.Ref>");
    let table = std::fs::read_to_string(infra("../src/aws/dynamodb.rs")).unwrap();
    assert!(table.contains("item(\"expires\"") && table.contains("(\"key\".to_owned()"));
    let made = &resources(&json!({}))["BaselineTable"]["Properties"];
    assert_eq!(made["TimeToLiveSpecification"]["AttributeName"], "expires");
    assert_eq!(made["KeySchema"][0]["AttributeName"], "key");
}

#[test]
fn the_package_holds_what_the_function_is_told_of() {
    let checked = run(["config", "check", infra("package/rolewatch.toml").to_str().unwrap()]);
    assert_eq!(checked.status, 0, "{}", checked.err);
    // The script, with a cargo that only says what it was asked.
    let tools = tempfile::tempdir().unwrap();
    let cargo = tools.path().join("cargo");
    std::fs::write(&cargo, "#!/bin/sh\nbasename \"$PWD\"; echo \"$@\"\n").unwrap();
    done(Command::new("chmod").arg("+x").arg(&cargo));
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
    let build = |args: &[&str]| {
        let output = Command::new(infra("package/build")).args(args).env("PATH", &path).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, asked) = build(&[]);
    assert_eq!(status, Some(0));
    let told = &resources(&json!({}))["Function"]["Properties"];
    let file = told["Environment"]["Variables"]["ROLEWATCH_CONFIG"].as_str().unwrap();
    assert_eq!(told["CodeUri"], "../package/bootstrap.zip");
    assert!(asked.starts_with("package\n") && asked.contains(&format!("--include {file} ")));
    assert!(
        asked.contains("--features aws --bin bootstrap --arm64 --output-format zip"),
        "{asked}"
    );
    assert!(build(&["x86_64"]).1.contains("--x86-64"));
    assert_eq!(build(&["sparc"]).0, Some(2));
}

/// The one that builds a release, which takes minutes.
#[test]
#[ignore = "cargo test --features aws --test infra -- --ignored, with cargo-lambda in the path"]
fn the_package_is_built_and_starts() {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    done(Command::new(infra("package/build")).arg(machine));
    let folder = tempfile::tempdir().unwrap();
    let zip = ["-m", "zipfile", "-e"];
    done(Command::new("python3").args(zip).arg(infra("package/bootstrap.zip")).arg(folder.path()));
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["bootstrap", "rolewatch.toml"]);
    // Unpacked by Python it has lost its mode, which Lambda keeps.
    let function = folder.path().join("bootstrap");
    done(Command::new("chmod").arg("+x").arg(&function));
    let output = Command::new(&function).env_clear().output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("ROLEWATCH_TOPICS"), "{said}");
    let script = "import sys, zipfile; \
        print(oct(zipfile.ZipFile(sys.argv[1]).getinfo('bootstrap').external_attr >> 16))";
    let mut mode = Command::new("python3");
    let mode = mode.args(["-c", script]).arg(infra("package/bootstrap.zip")).output().unwrap();
    assert_eq!(String::from_utf8(mode.stdout).unwrap().trim(), "0o100755");
}

#[test]
fn every_option_and_every_alarm_is_in_the_readme() {
    let read = |path: &str| std::fs::read_to_string(infra(path)).unwrap();
    let (readme, sam, module) =
        (read("README.md"), read("sam/template.yaml"), read("terraform/variables.tf"));
    let (_, parameters) = sam.split_once("\nParameters:\n").unwrap();
    let (parameters, _) = parameters.split_once("\nMappings:\n").unwrap();
    let is_name = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let mut options: Vec<&str> = parameters.lines().filter(is_name).collect();
    options.iter_mut().for_each(|it| *it = it.trim().trim_end_matches(':'));
    let variables = module.lines().filter_map(|line| line.strip_prefix("variable \""));
    options.extend(variables.map(|line| line.split('"').next().unwrap()));
    assert!(options.len() > 40, "{options:?}");
    let all = resources(&json!({ "TrailLogGroupName": "trail", "MaximumRecordAge": 60 }));
    let alarms = all.values().filter_map(|it| it["Properties"]["AlarmName"].as_str());
    options.extend(alarms.map(|name| name.strip_prefix("rolewatch-").unwrap()));
    let missing = options.iter().filter(|name| !readme.contains(&format!("`{name}`")));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn alarms_and_dashboard_watch_figures_that_there_are() {
    let mut metrics = Metrics::default();
    metrics.store = Some(StoreFigures::default());
    metrics.alert_after(Duration::from_secs(1));
    let line: Value = serde_json::from_str(&metrics.to_lines("rolewatch", 0)[0]).unwrap();
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    let told: BTreeSet<&str> = directive["Metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| metric["Name"].as_str().unwrap())
        .collect();
    let all = resources(&json!({ "TrailLogGroupName": "trail", "MaximumRecordAge": 60 }));
    let alarms = all.values().filter(|it| it["Type"] == "AWS::CloudWatch::Alarm");
    let alarms: Vec<&Value> = alarms.map(|it| &it["Properties"]).collect();
    assert_eq!(alarms.len(), 10);
    let mut watched = BTreeSet::new();
    for alarm in &alarms {
        assert_eq!(alarm["AlarmActions"], json!(["<AlarmTopic.Ref>"]));
        if alarm["Namespace"] == directive["Namespace"] {
            watched.insert(alarm["MetricName"].as_str().unwrap().to_owned());
            assert_eq!(alarm["Dimensions"][0]["Name"], directive["Dimensions"][0][0]);
        }
    }
    let body = all["Dashboard"]["Properties"]["DashboardBody"].as_str().unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    for widget in body["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            if metric[0] == directive["Namespace"] {
                watched.insert(metric[1].as_str().unwrap().to_owned());
            }
        }
    }
    assert!(watched.len() > 8, "{watched:?}");
    let unknown: Vec<_> = watched.iter().filter(|name| !told.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "the function tells no such figure: {unknown:?}");
}
