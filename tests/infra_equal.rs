//! SAM and Terraform make the same: every resource, every property, every permission.
#![cfg(feature = "aws")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use support::deploy::{Copy, infra, template};

/// A resource of the template, and the resources of the module that are the same thing.
const PAIRS: &[(&str, &str, &[&str])] = &[
    ("EncryptionKey", "AWS::KMS::Key", &["aws_kms_key.encryption"]),
    ("EventStream", "AWS::Kinesis::Stream", &["aws_kinesis_stream.events"]),
    ("FeedRole", "AWS::IAM::Role", &["aws_iam_role.feed", "aws_iam_role_policy.feed"]),
    (
        "Subscription",
        "AWS::Logs::SubscriptionFilter",
        &["aws_cloudwatch_log_subscription_filter.trail"],
    ),
    (
        "SenderDestination",
        "AWS::Logs::Destination",
        &["aws_cloudwatch_log_destination.sender", "aws_cloudwatch_log_destination_policy.sender"],
    ),
    ("NativeAlertTopic", "AWS::SNS::Topic", &["aws_sns_topic.alerts[native]"]),
    ("TextAlertTopic", "AWS::SNS::Topic", &["aws_sns_topic.alerts[text]"]),
    ("ChatAlertTopic", "AWS::SNS::Topic", &["aws_sns_topic.alerts[chat]"]),
    ("OcsfAlertTopic", "AWS::SNS::Topic", &["aws_sns_topic.alerts[ocsf]"]),
    ("AlarmTopic", "AWS::SNS::Topic", &["aws_sns_topic.alarms"]),
    ("AlarmTopicPolicy", "AWS::SNS::TopicPolicy", &["aws_sns_topic_policy.alarms"]),
    ("DeadLetterQueue", "AWS::SQS::Queue", &["aws_sqs_queue.dead_letters"]),
    ("BaselineTable", "AWS::DynamoDB::Table", &["aws_dynamodb_table.baselines"]),
    (
        "GivenUpBucket",
        "AWS::S3::Bucket",
        &[
            "aws_s3_bucket.given_up",
            "aws_s3_bucket_lifecycle_configuration.given_up",
            "aws_s3_bucket_public_access_block.given_up",
            "aws_s3_bucket_server_side_encryption_configuration.given_up",
            "aws_s3_bucket_versioning.given_up",
        ],
    ),
    ("FunctionLog", "AWS::Logs::LogGroup", &["aws_cloudwatch_log_group.function"]),
    ("FunctionRole", "AWS::IAM::Role", &["aws_iam_role.function", "aws_iam_role_policy.function"]),
    ("Function", "AWS::Serverless::Function", &["aws_lambda_function.rolewatch"]),
    (
        "StreamMapping",
        "AWS::Lambda::EventSourceMapping",
        &["aws_lambda_event_source_mapping.stream"],
    ),
    ("Dashboard", "AWS::CloudWatch::Dashboard", &["aws_cloudwatch_dashboard.rolewatch"]),
    ("FallsBehindAlarm", ALARM, &["aws_cloudwatch_metric_alarm.alarms[falls-behind]"]),
    ("ErrorsAlarm", ALARM, &["aws_cloudwatch_metric_alarm.alarms[errors]"]),
    ("DeadLettersAlarm", ALARM, &["aws_cloudwatch_metric_alarm.alarms[dead-letters]"]),
    ("PublishFailuresAlarm", ALARM, &["aws_cloudwatch_metric_alarm.alarms[publish-failures]"]),
    ("SilenceAlarm", ALARM, &["aws_cloudwatch_metric_alarm.silence"]),
    ("DeliveryErrorsAlarm", ALARM, &["aws_cloudwatch_metric_alarm.delivery[delivery-errors]"]),
    (
        "DeliveryThrottlingAlarm",
        ALARM,
        &["aws_cloudwatch_metric_alarm.delivery[delivery-throttling]"],
    ),
    ("GivenUpAlarm", ALARM, &["aws_cloudwatch_metric_alarm.alarms[given-up]"]),
    ("LostAlarm", ALARM, &["aws_cloudwatch_metric_alarm.alarms[lost]"]),
    ("WriteThrottlingAlarm", ALARM, &["aws_cloudwatch_metric_alarm.alarms[write-throttling]"]),
];

const ALARM: &str = "AWS::CloudWatch::Alarm";

/// What CloudFormation calls an attribute, where it is not the same word in camel case. An empty
/// name: the other side has nothing like it, for the reason beside it.
const WORDS: &[(&str, &str)] = &[
    // Names that CloudFormation makes up itself, so that a resource that has to be replaced can be.
    ("aws_kinesis_stream.name", ""),
    ("aws_iam_role.name", ""),
    ("aws_iam_role_policy.role", ""),
    ("aws_sns_topic.name", ""),
    ("aws_sqs_queue.name", ""),
    ("aws_dynamodb_table.name", ""),
    ("aws_s3_bucket.bucket_prefix", ""),
    ("aws_s3_bucket.bucket", ""),
    ("aws_s3_bucket_lifecycle_configuration.bucket", ""),
    ("aws_s3_bucket_public_access_block.bucket", ""),
    ("aws_s3_bucket_server_side_encryption_configuration.bucket", ""),
    ("aws_s3_bucket_versioning.bucket", ""),
    ("aws_cloudwatch_log_destination_policy.destination_name", ""),
    // The package stands at the same place, and `sam deploy` sees by itself when it is new.
    ("aws_lambda_function.filename", ""),
    ("aws_lambda_function.source_code_hash", ""),
    // The default of CloudFormation, which Terraform wants said.
    ("aws_lambda_function.logging_config.log_format", ""),
    // Told by the provider once it is made.
    ("aws_kms_key.key_id", ""),
    ("aws_lambda_event_source_mapping.uuid", ""),
    // Other words for the same.
    ("aws_kms_key.deletion_window_in_days", "PendingWindowInDays"),
    ("aws_kms_key.policy", "KeyPolicy"),
    ("aws_kinesis_stream.retention_period", "RetentionPeriodHours"),
    ("aws_kinesis_stream.encryption_type", "StreamEncryption.EncryptionType"),
    ("aws_kinesis_stream.kms_key_id", "StreamEncryption.KeyId"),
    ("aws_iam_role.assume_role_policy", "AssumeRolePolicyDocument"),
    ("aws_iam_role_policy.name", "Policies.PolicyName"),
    ("aws_iam_role_policy.policy", "Policies.PolicyDocument"),
    ("aws_cloudwatch_log_subscription_filter.name", "FilterName"),
    ("aws_cloudwatch_log_destination.name", "DestinationName"),
    ("aws_cloudwatch_log_destination_policy.access_policy", "DestinationPolicy"),
    ("aws_sns_topic_policy.arn", "Topics"),
    ("aws_sns_topic_policy.policy", "PolicyDocument"),
    ("aws_sqs_queue.message_retention_seconds", "MessageRetentionPeriod"),
    ("aws_dynamodb_table.hash_key", "KeySchema.AttributeName"),
    ("aws_dynamodb_table.attribute.name", "AttributeDefinitions.AttributeName"),
    ("aws_dynamodb_table.attribute.type", "AttributeDefinitions.AttributeType"),
    ("aws_dynamodb_table.ttl", "TimeToLiveSpecification"),
    (
        "aws_dynamodb_table.point_in_time_recovery.enabled",
        "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled",
    ),
    ("aws_dynamodb_table.server_side_encryption.enabled", "SSESpecification.SSEEnabled"),
    ("aws_dynamodb_table.server_side_encryption.kms_key_arn", "SSESpecification.KMSMasterKeyId"),
    (
        "aws_s3_bucket_lifecycle_configuration.rule.expiration.days",
        "LifecycleConfiguration.Rules.ExpirationInDays",
    ),
    (
        "aws_s3_bucket_lifecycle_configuration.rule.noncurrent_version_expiration",
        "LifecycleConfiguration.Rules.NoncurrentVersionExpiration",
    ),
    ("aws_s3_bucket_lifecycle_configuration.rule", "LifecycleConfiguration.Rules"),
    ("aws_s3_bucket_public_access_block", "PublicAccessBlockConfiguration"),
    (
        "aws_s3_bucket_server_side_encryption_configuration.rule.apply_server_side_encryption_by_default.kms_master_key_id",
        "BucketEncryption.ServerSideEncryptionConfiguration.ServerSideEncryptionByDefault.KMSMasterKeyID",
    ),
    (
        "aws_s3_bucket_server_side_encryption_configuration.rule.apply_server_side_encryption_by_default.sse_algorithm",
        "BucketEncryption.ServerSideEncryptionConfiguration.ServerSideEncryptionByDefault.SSEAlgorithm",
    ),
    (
        "aws_s3_bucket_server_side_encryption_configuration.rule",
        "BucketEncryption.ServerSideEncryptionConfiguration",
    ),
    ("aws_s3_bucket_versioning.versioning_configuration", "VersioningConfiguration"),
    ("aws_cloudwatch_log_group.name", "LogGroupName"),
    ("aws_lambda_function.environment.variables", "Environment.Variables"),
    (
        "aws_lambda_event_source_mapping.destination_config.on_failure.destination_arn",
        "DestinationConfig.OnFailure.Destination",
    ),
    ("aws_cloudwatch_metric_alarm.dimensions", "Dimensions"),
    ("aws_cloudwatch_metric_alarm.metric_query", "Metrics"),
    ("aws_cloudwatch_metric_alarm.ok_actions", "OKActions"),
];

/// What only CloudFormation wants said; in Terraform it follows from the rest.
const FOLLOWS: &[(&str, &str, &str)] = &[
    ("Function", "CodeUri", "../package/bootstrap.zip"),
    ("BaselineTable", "KeySchema.KeyType", "HASH"),
    ("BaselineTable", "SSESpecification.SSEType", "KMS"),
];

type Properties = BTreeMap<String, String>;

/// Every value by its place. A list of one is its element; a policy in a string is read.
fn flatten(value: &Value, at: &str, into: &mut Properties) {
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match value {
        Value::Null => {}
        Value::String(text) if text.starts_with("{\"") => {
            flatten(&serde_json::from_str(text).unwrap(), at, into);
        }
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| flatten(value, &below(key), into));
        }
        Value::Array(elements) if elements.iter().all(is_dimension) => {
            let named =
                |it: &Value| flatten(&it["Value"], &below(it["Name"].as_str().unwrap()), into);
            elements.iter().for_each(named);
        }
        Value::Array(elements) => {
            for (place, element) in elements.iter().enumerate() {
                let at = if place == 0 { at.to_owned() } else { below(&place.to_string()) };
                flatten(element, &at, into);
            }
        }
        Value::String(text) => drop(into.insert(at.to_owned(), text.clone())),
        other => drop(into.insert(at.to_owned(), other.to_string())),
    }
}

fn is_dimension(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|it| it.len() == 2 && it.contains_key("Name") && it.contains_key("Value"))
}

fn camel(word: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    word.split('_').map(capital).collect()
}

/// What CloudFormation calls an attribute of Terraform; `None` where it has nothing like it.
fn renamed(kind: &str, path: &str) -> Option<String> {
    let whole = if path.is_empty() { kind.to_owned() } else { format!("{kind}.{path}") };
    let fits = |(word, _): &&(&str, &str)| {
        whole.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let longest = WORDS.iter().filter(fits).max_by_key(|(word, _)| word.len());
    let (word, known) = longest.copied().unwrap_or((kind, ""));
    if known.is_empty() && word != kind {
        return None;
    }
    let rest = whole[word.len()..].trim_start_matches('.');
    // What lies in a policy, the environment or a dashboard has names of its own.
    let own = ["Document", "Policy", "Variables", "Dimensions", "Body"];
    let keeps = own.iter().any(|ending| known.ends_with(ending));
    let named = if keeps { rest.to_owned() } else { spelled(rest) };
    Some([known, &named].iter().filter(|it| !it.is_empty()).copied().collect::<Vec<_>>().join("."))
}

fn spelled(path: &str) -> String {
    let words = || path.split('.').filter(|it| !it.is_empty());
    match path.split_once("dashboard_body") {
        Some((_, rest)) => format!("DashboardBody{rest}"),
        None => words().map(camel).collect::<Vec<_>>().join("."),
    }
}

/// The module's resources under the template's names.
fn as_template(made: &BTreeMap<String, Value>) -> BTreeMap<&'static str, Properties> {
    let mut left: Vec<&String> = made.keys().collect();
    let mut all = BTreeMap::new();
    for (logical, _, addresses) in PAIRS {
        let mut properties = Properties::new();
        for (address, attributes) in addresses.iter().filter_map(|it| made.get_key_value(*it)) {
            left.retain(|it| *it != address);
            let kind = address.split('.').next().unwrap();
            let mut flat = Properties::new();
            flatten(attributes, "", &mut flat);
            // What the provider says of it once it is made.
            flat.remove("id");
            if kind != "aws_sns_topic_policy" {
                flat.remove("arn");
            }
            flat.remove("url");
            for (path, value) in flat {
                if let Some(name) = renamed(kind, &path) {
                    properties.insert(name, value);
                }
            }
        }
        if !properties.is_empty() {
            all.insert(*logical, properties);
        }
    }
    assert!(left.is_empty(), "not in the template: {left:?}");
    all
}

/// What references to the template's resources give, were they those of the module.
fn names(made: &BTreeMap<String, Value>) -> Map<String, Value> {
    let mut names = Map::new();
    for (logical, kind, addresses) in PAIRS {
        let Some(attributes) = made.get(addresses[0]) else { continue };
        let own = match *kind {
            "AWS::SNS::Topic" => "arn",
            "AWS::KMS::Key" => "key_id",
            "AWS::SQS::Queue" => "url",
            "AWS::S3::Bucket" => "bucket",
            "AWS::Serverless::Function" => "function_name",
            "AWS::Lambda::EventSourceMapping" => "uuid",
            _ => "name",
        };
        let mut arn = attributes["arn"].as_str().unwrap_or_default().to_owned();
        if *kind == "AWS::Logs::LogGroup" {
            arn += ":*";
        }
        let of = json!({ "Ref": attributes[own], "Arn": arn, "QueueName": attributes["name"] });
        names.insert((*logical).to_owned(), of);
    }
    names
}

fn from_template(parameters: &Value, names: &Map<String, Value>) -> BTreeMap<String, Properties> {
    let mut all = BTreeMap::new();
    for (logical, resource) in template(parameters, names) {
        let pair = PAIRS.iter().find(|(name, ..)| *name == logical);
        let (_, kind, _) = pair.unwrap_or_else(|| panic!("not in the module: {logical}"));
        assert_eq!(resource["Type"], *kind, "{logical}");
        let mut flat = Properties::new();
        flatten(&resource["Properties"], "", &mut flat);
        for (_, property, value) in FOLLOWS.iter().filter(|(name, ..)| *name == logical) {
            assert_eq!(flat.remove(*property).as_deref(), Some(*value), "{logical}.{property}");
        }
        all.insert(logical, flat);
    }
    all
}

fn differences(
    module: &BTreeMap<&str, Properties>,
    template: &BTreeMap<String, Properties>,
) -> Vec<String> {
    let mut found = Vec::new();
    let logical = module.keys().copied().chain(template.keys().map(String::as_str));
    for name in logical.collect::<BTreeSet<_>>() {
        let nothing = Properties::new();
        let module = module.get(name).unwrap_or(&nothing);
        let template = template.get(name).unwrap_or(&nothing);
        for path in module.keys().chain(template.keys()).collect::<BTreeSet<_>>() {
            let (ours, theirs) = (module.get(path), template.get(path));
            if ours != theirs {
                found.push(format!("{name}.{path}: Terraform {ours:?}, SAM {theirs:?}"));
            }
        }
    }
    found
}

/// Both, with options that mean the same.
fn compare(variables: &Value, parameters: &Value) -> Vec<String> {
    let copy = Copy::with(b"package");
    let mut variables = variables.clone();
    variables["package"] = json!("../package/bootstrap.zip");
    let made = copy.applied(&variables);
    differences(&as_template(&made), &from_template(parameters, &names(&made)))
}

/// What neither of them takes away with the rest: what was recorded, and what reads it.
#[test]
fn both_keep_the_same() {
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(infra("terraform")).unwrap().map(Result::unwrap) {
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        for block in format!("\n{text}").split("\nresource \"").skip(1) {
            let block = block.split("\n}").next().unwrap();
            let (kind, rest) = block.split_once("\" \"").unwrap();
            let name = rest.split('"').next().unwrap();
            if block.contains("\n    prevent_destroy = true\n") {
                kept.push(format!("{kind}.{name}"));
            }
        }
    }
    let logical = |address: &String| {
        let pair = PAIRS.iter().find(|(.., addresses)| addresses[0] == address);
        pair.unwrap_or_else(|| panic!("{address}")).0.to_owned()
    };
    let by_terraform: BTreeSet<String> = kept.iter().map(logical).collect();
    let all = template(&json!({ "MaximumRetryAttempts": 5 }), &Map::new());
    let by_sam = all.into_iter().filter(|(_, resource)| resource["Kept"] == true);
    assert_eq!(by_sam.map(|(name, _)| name).collect::<BTreeSet<_>>(), by_terraform);
    let expected = [
        "BaselineTable",
        "DeadLetterQueue",
        "EncryptionKey",
        "EventStream",
        "FunctionLog",
        "GivenUpBucket",
    ];
    assert_eq!(by_terraform, expected.map(str::to_owned).into());
}

const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:theirs";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234";
const STREAM: &str = "arn:aws:kinesis:us-east-1:111122223333:stream/theirs";

#[test]
fn with_all_that_can_be_made() {
    let variables = json!({
        "trail_log_group_name": "trail", "sender_account_id": "444455556666",
        "topics": {"native": "create", "text": "create", "chat": "create", "ocsf": "create"},
        "maximum_record_age": 3600, "shard_count": 3,
    });
    let parameters = json!({
        "TrailLogGroupName": "trail", "SenderAccountId": "444455556666", "TextTopic": "create",
        "ChatTopic": "create", "OcsfTopic": "create", "MaximumRecordAge": 3600, "ShardCount": 3,
    });
    assert_eq!(compare(&variables, &parameters), [""; 0]);
}

#[test]
fn with_all_that_may_exist_already() {
    let variables = json!({
        "existing_stream_arn": STREAM, "existing_key_arn": KEY, "existing_alarm_topic_arn": TOPIC,
        "further_key_arns": [KEY, format!("{KEY}5")], "sender_account_id": "444455556666",
        "topics": {"native": TOPIC, "ocsf": format!("{TOPIC}2")}, "architecture": "x86_64",
        "memory_size": 1024, "timeout": 120, "batch_window": 5, "silence_periods": 288, "parallelization_factor": 4,
        "maximum_retry_attempts": 20, "config_path": "", "log_level": "debug",
        "log_retention_days": 30,
    });
    let parameters = json!({
        "ExistingStreamArn": STREAM, "ExistingKeyArn": KEY, "ExistingAlarmTopicArn": TOPIC,
        "FurtherKeyArns": format!("{KEY},{KEY}5"), "SenderAccountId": "444455556666",
        "NativeTopic": TOPIC, "OcsfTopic": format!("{TOPIC}2"), "Architecture": "x86_64",
        "MemorySize": 1024, "Timeout": 120, "BatchWindow": 5, "SilencePeriods": 288, "ParallelizationFactor": 4,
        "MaximumRetryAttempts": 20, "ConfigPath": "", "LogLevel": "debug", "LogRetentionDays": 30,
    });
    assert_eq!(compare(&variables, &parameters), [""; 0]);
}

#[test]
fn on_demand_and_unfiltered_with_all_defaults_else() {
    let variables = json!({
        "trail_log_group_name": "trail", "stream_mode": "ON_DEMAND", "feed": "everything",
    });
    let parameters = json!({
        "TrailLogGroupName": "trail", "StreamMode": "ON_DEMAND", "Feed": "everything",
    });
    assert_eq!(compare(&variables, &parameters), [""; 0]);
    // The comparison sees what differs: one option on one side only.
    let other = json!({ "TrailLogGroupName": "trail", "StreamMode": "ON_DEMAND" });
    let found = compare(&variables, &other);
    assert!(found.len() == 1 && found[0].starts_with("Subscription.FilterPattern"), "{found:?}");
}
