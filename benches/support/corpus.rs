//! Logs as a busy organisation writes them, from a seed: the same bytes on every machine.
//!
//! What the figures depend on is the share of records that are ours (5.5 %), their length (1.46
//! kB on the average) and how well they compress (about 7 : 1). The rest of the detail is there
//! so that nothing compresses, parses or is judged better than real logs are: callers of every
//! kind, embedded policies, arrays of objects, null answers, long tokens.

use fastrand::Rng;

/// What is drawn from.
pub struct Corpus {
    rng: Rng,
    roles: usize,
    /// Seconds since the beginning of the logs.
    second: u64,
    drawn: u64,
}

/// The share of records that ask for a role's credentials: 55 of 1,000.
const OURS_OF_THOUSAND: u64 = 55;

const ACCOUNTS: u64 = 12;

const AGENTS: &[&str] = &[
    "aws-sdk-go-v2/1.32.7 ua/2.1 os/linux lang/go#1.23.4 md/GOOS#linux md/GOARCH#amd64 api/sts#1.33.3 m/E",
    "Boto3/1.35.90 md/Botocore#1.35.90 ua/2.0 os/linux#6.1.115-126.197.amzn2023.x86_64 md/arch#x86_64 lang/python#3.12.8 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.35.90",
    "aws-cli/2.22.35 md/awscrt#0.23.4 ua/2.0 os/macos#24.2.0 md/arch#arm64 lang/python#3.12.6 md/pyimpl#CPython m/D,N cfg/retry-mode#standard md/installer#exe md/prompt#off",
    "APN/1.0 HashiCorp/1.0 Terraform/1.10.3 (+https://www.terraform.io) terraform-provider-aws/5.82.2 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.32.7 ua/2.1 os/linux lang/go#1.23.3",
    "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.750 Linux/5.10.230 OpenJDK_64-Bit_Server_VM/25.412-b09 java/1.8.0_412 vendor/Oracle_Corporation cfg/retry-mode/standard]",
];

/// Calls that fill every trail: service, name, whether it reads, request, answer. In angle
/// brackets stands what is drawn.
const EVERYDAY: &[(&str, &str, bool, &str, &str)] = &[
    (
        "ec2",
        "DescribeInstances",
        true,
        r#"{"maxResults":1000,"instancesSet":{"items":[{"instanceId":"i-<hex17>"}]},"filterSet":{}}"#,
        "null",
    ),
    (
        "ec2",
        "DescribeVolumes",
        true,
        r#"{"maxResults":500,"volumeSet":{},"filterSet":{"items":[{"name":"attachment.instance-id","valueSet":{"items":[{"value":"i-<hex17>"}]}}]}}"#,
        "null",
    ),
    (
        "ec2",
        "DescribeNetworkInterfaces",
        true,
        r#"{"networkInterfaceIdSet":{"items":[{"networkInterfaceId":"eni-<hex17>"}]},"filterSet":{}}"#,
        "null",
    ),
    (
        "ec2",
        "CreateTags",
        false,
        r#"{"resourcesSet":{"items":[{"resourceId":"vol-<hex17>"}]},"tagSet":{"items":[{"key":"kubernetes.io/cluster/main","value":"owned"},{"key":"Name","value":"data-<hex8>"}]}}"#,
        r#"{"requestId":"<uuid>","_return":true}"#,
    ),
    (
        "kms",
        "Decrypt",
        true,
        r#"{"encryptionContext":{"aws:s3:arn":"arn:aws:s3:::acme-data-<account>/part-<hex8>"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
        "null",
    ),
    (
        "kms",
        "GenerateDataKey",
        true,
        r#"{"keyId":"arn:aws:kms:eu-west-1:<account>:key/<uuid>","encryptionContext":{"SecretARN":"arn:aws:secretsmanager:eu-west-1:<account>:secret:app-<hex8>"},"keySpec":"AES_256"}"#,
        "null",
    ),
    (
        "s3",
        "GetBucketAcl",
        true,
        r#"{"bucketName":"acme-data-<account>","Host":"acme-data-<account>.s3.eu-west-1.amazonaws.com","acl":""}"#,
        "null",
    ),
    ("s3", "ListBuckets", true, r#"{"Host":"s3.eu-west-1.amazonaws.com"}"#, "null"),
    (
        "logs",
        "CreateLogStream",
        false,
        r#"{"logStreamName":"2026/03/04/[$LATEST]<hex32>","logGroupName":"/aws/lambda/worker-<hex2>"}"#,
        "null",
    ),
    ("logs", "DescribeLogGroups", true, r#"{"limit":50}"#, "null"),
    (
        "ssm",
        "UpdateInstanceInformation",
        false,
        r#"{"instanceId":"i-<hex17>","agentVersion":"3.3.1345.0","agentStatus":"Active","platformType":"Linux","platformName":"Amazon Linux","platformVersion":"2023","iPAddress":"10.0.<byte>.<byte>","computerName":"ip-10-0-<byte>-<byte>.eu-west-1.compute.internal","agentName":"amazon-ssm-agent","availabilityZone":"eu-west-1a","availabilityZoneId":"euw1-az1","sSMConnectionChannel":"ssmmessages"}"#,
        "null",
    ),
    (
        "ssm",
        "GetParameter",
        true,
        r#"{"name":"/app/settings/<hex2>","withDecryption":true}"#,
        "null",
    ),
    ("sts", "GetCallerIdentity", true, "null", "null"),
    (
        "lambda",
        "GetFunction20150331v2",
        true,
        r#"{"functionName":"arn:aws:lambda:eu-west-1:<account>:function:worker-<hex2>"}"#,
        "null",
    ),
    (
        "ecs",
        "DescribeServices",
        true,
        r#"{"cluster":"main","services":["web","worker","mail-<hex2>"]}"#,
        "null",
    ),
    (
        "elasticloadbalancing",
        "DescribeTargetHealth",
        true,
        r#"{"targetGroupArn":"arn:aws:elasticloadbalancing:eu-west-1:<account>:targetgroup/web-<hex2>/<hex17>"}"#,
        "null",
    ),
    ("autoscaling", "DescribeAutoScalingGroups", true, r#"{"maxRecords":100}"#, "null"),
    ("rds", "DescribeDBInstances", true, "null", "null"),
    ("dynamodb", "DescribeTable", true, r#"{"tableName":"orders-<hex2>"}"#, "null"),
    ("cloudformation", "DescribeStacks", true, r#"{"stackName":"web-<hex2>"}"#, "null"),
    (
        "config",
        "PutEvaluations",
        false,
        r#"{"evaluations":[{"complianceResourceType":"AWS::EC2::Instance","complianceResourceId":"i-<hex17>","complianceType":"COMPLIANT","orderingTimestamp":"Mar 4, 2026, 5:06:07 AM"}],"resultToken":"<hex32><hex32>","testMode":false}"#,
        r#"{"failedEvaluations":[]}"#,
    ),
    (
        "iam",
        "PutRolePolicy",
        false,
        r#"{"roleName":"worker-<hex2>","policyName":"inline","policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\",\"s3:PutObject\"],\"Resource\":\"arn:aws:s3:::acme-data-<account>/*\"}]}"}"#,
        "null",
    ),
    (
        "ecr",
        "BatchGetImage",
        true,
        r#"{"registryId":"<account>","repositoryName":"acme/worker","imageIds":[{"imageDigest":"sha256:<hex32><hex32>"}],"acceptedMediaTypes":["application/vnd.docker.distribution.manifest.v2+json","application/vnd.oci.image.manifest.v1+json"]}"#,
        "null",
    ),
    (
        "sqs",
        "GetQueueAttributes",
        true,
        r#"{"attributeNames":["All"],"queueUrl":"https://sqs.eu-west-1.amazonaws.com/<account>/jobs-<hex2>"}"#,
        "null",
    ),
];

impl Corpus {
    /// Logs of an organisation that has so many roles.
    pub fn seeded(seed: u64, roles: usize) -> Self {
        Self { rng: Rng::with_seed(seed), roles: roles.max(1), second: 0, drawn: 0 }
    }

    /// The next record, of which 55 of 1,000 ask for a role.
    pub fn record(&mut self) -> String {
        self.second += u64::from(self.rng.u8(..) < 40);
        self.drawn += 1;
        // One of 18 is ours; spread evenly, so that short logs have their share too.
        if self.drawn * OURS_OF_THOUSAND % 1_000 < OURS_OF_THOUSAND {
            return self.assumption();
        }
        self.everyday()
    }

    /// `count` records as CloudTrail writes them into one file.
    pub fn file(&mut self, count: usize) -> String {
        let records = self.records(count);
        file(&records)
    }

    /// `count` records as CloudWatch Logs puts them into a stream.
    pub fn subscription(&mut self, count: usize) -> String {
        let records = self.records(count);
        subscription(&records)
    }

    fn records(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.record()).collect()
    }

    /// One assumption of a role, by any kind of caller.
    pub fn assumption(&mut self) -> String {
        let number = self.rng.usize(..self.roles);
        self.assumption_of(number)
    }

    /// One assumption of a certain role.
    pub fn assumption_of(&mut self, role: usize) -> String {
        let kind = match self.rng.u8(..100) {
            0..45 => Kind::Service,
            45..65 => Kind::Session,
            65..75 => Kind::Remote,
            75..85 => Kind::User,
            85..93 => Kind::WebIdentity,
            93..97 => Kind::Saml,
            _ => Kind::Refused,
        };
        self.assumption_by(kind, role)
    }

    fn assumption_by(&mut self, kind: Kind, role: usize) -> String {
        let account = account(role as u64 % ACCOUNTS);
        let arn = format!("arn:aws:iam::{account}:role/app/Worker{role}");
        let role_id = format!("AROA{}", base32(role as u64, 17));
        let who = self.caller(kind, role, &account);
        let key = format!("ASIA{}", base32(self.rng.u64(..), 16));
        let token = self.token();
        let name = match kind {
            Kind::Saml => "AssumeRoleWithSAML",
            Kind::WebIdentity => "AssumeRoleWithWebIdentity",
            _ => "AssumeRole",
        };
        let middle = if kind == Kind::Refused {
            format!(
                r#""errorCode":"AccessDenied","errorMessage":"User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}","requestParameters":null,"responseElements":null,"#,
                who.arn
            )
        } else {
            let session = &who.session;
            let extra = who.request;
            format!(
                r#""requestParameters":{{"roleArn":"{arn}","roleSessionName":"{session}"{extra}}},"responseElements":{{"credentials":{{"accessKeyId":"{key}","sessionToken":"{token}","expiration":"Mar 4, 2026, 6:06:07 AM"}},"assumedRoleUser":{{"assumedRoleId":"{role_id}:{session}","arn":"arn:aws:sts::{account}:assumed-role/Worker{role}/{session}"}}}},"#
            )
        };
        let shared = match kind {
            Kind::Service | Kind::Remote => format!(r#","sharedEventID":"{}""#, self.uuid()),
            _ => String::new(),
        };
        let tls = match kind {
            Kind::Service => String::new(),
            _ => tls("sts"),
        };
        format!(
            r#"{{"eventVersion":"1.08","userIdentity":{},"eventTime":"{}","eventSource":"sts.amazonaws.com","eventName":"{name}","awsRegion":"eu-west-1","sourceIPAddress":"{}","userAgent":"{}",{middle}"requestID":"{}","eventID":"{}","readOnly":true,"resources":[{{"accountId":"{account}","type":"AWS::IAM::Role","ARN":"{arn}"}}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{account}"{shared},"eventCategory":"Management"{tls}}}"#,
            who.identity,
            self.time(),
            who.address,
            who.agent,
            self.uuid(),
            self.uuid(),
        )
    }

    fn caller(&mut self, kind: Kind, role: usize, account: &str) -> Caller {
        // Every role has a few callers of its own, from a few networks.
        let nth = self.rng.usize(..3);
        let network = self.rng.u8(..8);
        let address = format!("198.{}.{}.{}", 18 + role % 2, network, 1 + self.rng.u8(..250));
        let agent = AGENTS.get(nth).copied().unwrap_or_default().to_owned();
        let user = format!("user{}", role * 3 + nth);
        let user_id = format!("AIDA{}", base32((role * 3 + nth) as u64, 17));
        let remote = self::account(ACCOUNTS + (role as u64 % 5));
        let plain = |identity: String, arn: String, session: String| Caller {
            identity,
            arn,
            session,
            request: String::new(),
            address: address.clone(),
            agent: agent.clone(),
        };
        match kind {
            Kind::Service => {
                let service = ["ec2", "lambda", "ecs-tasks"].get(nth).copied().unwrap_or("ec2");
                let name = format!("{service}.amazonaws.com");
                Caller {
                    address: name.clone(),
                    agent: name.clone(),
                    ..plain(
                        format!(r#"{{"type":"AWSService","invokedBy":"{name}"}}"#),
                        String::new(),
                        format!("i-{:017x}", self.rng.u64(..) >> 4),
                    )
                }
            }
            Kind::Session | Kind::Refused => {
                let (identity, arn) = self.session_of(account, role * 7 + nth);
                plain(identity, arn, format!("run-{}", self.rng.u32(..)))
            }
            Kind::Remote => Caller {
                request: format!(r#","externalId":"shared-{role}""#),
                ..plain(
                    format!(
                        r#"{{"type":"AWSAccount","principalId":"{user_id}","accountId":"{remote}"}}"#
                    ),
                    String::new(),
                    "vendor".to_owned(),
                )
            },
            Kind::User => plain(
                format!(
                    r#"{{"type":"IAMUser","principalId":"{user_id}","arn":"arn:aws:iam::{account}:user/{user}","accountId":"{account}","accessKeyId":"AKIA{}","userName":"{user}"}}"#,
                    base32((role * 3 + nth) as u64, 16)
                ),
                format!("arn:aws:iam::{account}:user/{user}"),
                user,
            ),
            Kind::Saml => Caller {
                request: format!(
                    r#","principalArn":"arn:aws:iam::{account}:saml-provider/corp","durationSeconds":3600"#
                ),
                ..plain(
                    format!(
                        r#"{{"type":"SAMLUser","principalId":"Zm9vYmFy0cXFRbz0=:{user}","userName":"{user}@corp.example","identityProvider":"Zm9vYmFy0cXFRbz0="}}"#
                    ),
                    String::new(),
                    format!("{user}@corp.example"),
                )
            },
            Kind::WebIdentity => plain(
                format!(
                    r#"{{"type":"WebIdentityUser","principalId":"arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com:sts.amazonaws.com:repo:acme/app{role}:ref:refs/heads/main","userName":"repo:acme/app{role}:ref:refs/heads/main","identityProvider":"arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com"}}"#
                ),
                String::new(),
                "GitHubActions".to_owned(),
            ),
        }
    }

    /// A record that is none of ours.
    pub fn everyday(&mut self) -> String {
        let (service, name, reads, request, answer) = *EVERYDAY
            .get(self.rng.usize(..EVERYDAY.len()))
            .unwrap_or(&("sts", "x", true, "null", "null"));
        let number = self.rng.usize(..400);
        let account = account(number as u64 % ACCOUNTS);
        let (identity, _) = self.session_of(&account, number);
        let agent = AGENTS.get(self.rng.usize(..AGENTS.len())).copied().unwrap_or_default();
        let request = self.drawn(request, &account);
        let answer = self.drawn(answer, &account);
        let resources = match service {
            "kms" => self.drawn(r#","resources":[{"accountId":"<account>","type":"AWS::KMS::Key","ARN":"arn:aws:kms:eu-west-1:<account>:key/8a7b<hex8>"}]"#, &account),
            "s3" => self.drawn(r#","resources":[{"type":"AWS::S3::Object","ARNPrefix":"arn:aws:s3:::acme-data-<account>/"},{"accountId":"<account>","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::acme-data-<account>"}]"#, &account),
            _ => String::new(),
        };
        let address = format!("10.{}.{}.{}", number % 16, number % 61, 1 + number % 250);
        format!(
            r#"{{"eventVersion":"1.{}","userIdentity":{identity},"eventTime":"{}","eventSource":"{service}.amazonaws.com","eventName":"{name}","awsRegion":"eu-west-1","sourceIPAddress":"{address}","userAgent":"{agent}","requestParameters":{request},"responseElements":{answer},"requestID":"{}","eventID":"{}","readOnly":{reads}{resources},"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{account}","eventCategory":"Management"{}}}"#,
            8 + service.len() % 4,
            self.time(),
            self.uuid(),
            self.uuid(),
            tls(service),
        )
    }

    /// A session of a role: the identity in a record, and its ARN.
    fn session_of(&mut self, account: &str, number: usize) -> (String, String) {
        let role_id = format!("AROA{}", base32(number as u64, 17));
        let session = format!("i-{:017x}", (number as u64 + 1) * 0x9e37_79b9_7f4a);
        let arn = format!("arn:aws:sts::{account}:assumed-role/Worker{number}/{session}");
        // A session lives for an hour; its callers come again and again with the same key.
        let key = base32(number as u64 * 31 + self.second / 3_600, 16);
        let identity = format!(
            r#"{{"type":"AssumedRole","principalId":"{role_id}:{session}","arn":"{arn}","accountId":"{account}","accessKeyId":"ASIA{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"{role_id}","arn":"arn:aws:iam::{account}:role/app/Worker{number}","accountId":"{account}","userName":"Worker{number}"}},"attributes":{{"creationDate":"2026-03-04T05:00:0{}Z","mfaAuthenticated":"false"}},"ec2RoleDelivery":"2.0"}}}}"#,
            number % 10
        );
        (identity, arn)
    }

    fn drawn(&mut self, template: &str, account: &str) -> String {
        let mut parts = template.split('<');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (what, rest) = part.split_once('>').unwrap_or(("", part));
            match what {
                "account" => text.push_str(account),
                "uuid" => text.push_str(&self.uuid()),
                "byte" => text.push_str(&self.rng.u8(1..251).to_string()),
                hex => {
                    let digits = hex.trim_start_matches("hex").parse().unwrap_or(8);
                    (0..digits).for_each(|_| text.push(self.rng.digit(16)));
                }
            }
            text.push_str(rest);
        }
        text
    }

    fn token(&mut self) -> String {
        // Real tokens are base64 of several hundred bytes; they do not compress.
        (0..420).map(|_| self.rng.alphanumeric()).collect()
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.rng.u64(..), self.rng.u64(..));
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }

    fn time(&self) -> String {
        let day = 1 + self.second / 86_400 % 28;
        let (hour, minute) = (self.second / 3_600 % 24, self.second / 60 % 60);
        format!("2026-03-{day:02}T{hour:02}:{minute:02}:{:02}Z", self.second % 60)
    }
}

/// Records as CloudTrail writes them into one file.
pub fn file(records: &[String]) -> String {
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

/// Records in the envelope of CloudWatch Logs.
pub fn subscription(records: &[String]) -> String {
    let events: Vec<String> = records
        .iter()
        .enumerate()
        .map(|(number, record)| {
            let message = serde_json::Value::from(record.as_str());
            format!(
                r#"{{"id":"3953155811628149281520417294856340912755036041927{number:07}","timestamp":{},"message":{message}}}"#,
                1_772_443_150_000_u64 + number as u64
            )
        })
        .collect();
    format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"acme-trail","logStream":"111122223333_CloudTrail_eu-west-1","subscriptionFilters":["to-kinesis"],"logEvents":[{}]}}"#,
        events.join(",")
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Service,
    Session,
    Remote,
    User,
    WebIdentity,
    Saml,
    Refused,
}

struct Caller {
    identity: String,
    arn: String,
    session: String,
    request: String,
    address: String,
    agent: String,
}

fn account(number: u64) -> String {
    format!("{:012}", 111_122_223_333 + number * 1_010_101_010)
}

fn tls(service: &str) -> String {
    format!(
        r#","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{service}.eu-west-1.amazonaws.com"}}"#
    )
}

/// A number in the letters of unique ids.
fn base32(number: u64, length: usize) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut left = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..length)
        .map(|_| {
            left = left.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            LETTERS.get((left >> 59) as usize).copied().map_or('A', char::from)
        })
        .collect()
}
