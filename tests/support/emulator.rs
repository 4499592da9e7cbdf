//! AWS on this machine: an emulator that a test starts by itself and that ends with it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::print_stderr, reason = "a test that fails shows what the emulator said")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{ShardIteratorType, StreamStatus};
use aws_smithy_http_client::Builder;

/// What is installed from the package index.
const PACKAGE: &str = "ministack[full]==1.5.33";

/// How long anything may take on a busy machine before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What a client has to say of itself; the emulator believes everybody.
pub const ENVIRONMENT: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_REGION", "us-east-1"),
];

/// The installed emulator.
static EMULATOR: LazyLock<PathBuf> =
    LazyLock::new(|| super::tools::venv("emulator-venv", &[PACKAGE]).join("ministack"));

/// A running emulator.
pub struct Emulator {
    process: Child,
    port: u16,
    runtime: tokio::runtime::Runtime,
    http: SharedHttpClient,
    log: tempfile::NamedTempFile,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.log.path()).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the emulator's last lines, newest first:\n{}", tail.join("\n"));
        }
    }
}

impl Emulator {
    /// Starts one on a free port, and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One that lets a function do only what its role allows.
    pub fn enforcing() -> Self {
        Self::start_with(&[("AUTH", "true")])
    }

    fn start_with(settings: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = Command::new(&*EMULATOR)
            .envs(ENVIRONMENT)
            .envs(settings.iter().copied())
            .env("BIND_HOST", "127.0.0.1")
            // A listener on a port of its own, which no two emulators could share.
            .env("IOT_MTLS_ENABLED", "0")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            // A function inherits it, and finds the services by it.
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.reopen().unwrap())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let http = Builder::new().build_http();
        let emulator = Self { process, port, runtime, http, log };
        wait_until("the emulator answers", || {
            emulator.try_http("GET", "/_ministack/health", "").is_ok_and(|it| it.0 == 200)
        });
        emulator
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Runs a call of a client to its end.
    pub fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// The tool, speaking to this emulator.
    pub fn rolewatch(&self, args: &[&str]) -> Command {
        let mut command = super::rolewatch(args);
        command.envs(ENVIRONMENT).args(["--endpoint-url", &self.url()]);
        command
    }

    pub fn kinesis(&self) -> aws_sdk_kinesis::Client {
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials())
            .endpoint_url(self.url())
            .http_client(self.http.clone());
        aws_sdk_kinesis::Client::from_conf(config.build())
    }

    pub fn sns(&self) -> aws_sdk_sns::Client {
        let config = aws_sdk_sns::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials())
            .endpoint_url(self.url())
            .http_client(self.http.clone());
        aws_sdk_sns::Client::from_conf(config.build())
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials())
            .endpoint_url(self.url())
            .http_client(self.http.clone());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials())
            .endpoint_url(self.url())
            .http_client(self.http.clone());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// A table as the Lambda needs it.
    pub fn table(&self, name: &str) {
        use aws_sdk_dynamodb::types::{
            AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        };
        let key = KeySchemaElement::builder().attribute_name("key").key_type(KeyType::Hash);
        let attribute = AttributeDefinition::builder()
            .attribute_name("key")
            .attribute_type(ScalarAttributeType::S);
        let create = self
            .dynamodb()
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(key.build().unwrap())
            .attribute_definitions(attribute.build().unwrap());
        self.wait(create.send()).unwrap();
    }

    /// A stream that can be used.
    pub fn stream(&self, name: &str, shards: i32) -> String {
        let kinesis = self.kinesis();
        self.wait(kinesis.create_stream().stream_name(name).shard_count(shards).send()).unwrap();
        self.wait_for_stream(name)
    }

    /// Waits until a stream has taken in a change, and returns its ARN.
    pub fn wait_for_stream(&self, name: &str) -> String {
        let kinesis = self.kinesis();
        let describe = || {
            let call = kinesis.describe_stream_summary().stream_name(name).send();
            self.wait(call).unwrap().stream_description_summary.unwrap()
        };
        wait_until("the stream can be used", || describe().stream_status == StreamStatus::Active);
        describe().stream_arn
    }

    pub fn put(&self, stream: &str, key: &str, data: &[u8]) {
        let call = self.kinesis().put_record().stream_name(stream).partition_key(key);
        self.wait(call.data(Blob::new(data)).send()).unwrap();
    }

    /// Everything in a stream, by shard.
    pub fn records(&self, stream: &str) -> Vec<Vec<aws_sdk_kinesis::types::Record>> {
        let kinesis = self.kinesis();
        let shards = self.wait(kinesis.list_shards().stream_name(stream).send()).unwrap();
        let read = |shard: &str| {
            let call = kinesis.get_shard_iterator().stream_name(stream).shard_id(shard);
            let call = call.shard_iterator_type(ShardIteratorType::TrimHorizon).send();
            let mut iterator = self.wait(call).unwrap().shard_iterator;
            let mut records = Vec::new();
            while let Some(next) = iterator {
                let call = kinesis.get_records().shard_iterator(next).send();
                let answer = self.wait(call).unwrap();
                let at_end = answer.records.is_empty();
                records.extend(answer.records);
                iterator = answer.next_shard_iterator.filter(|_| !at_end);
            }
            records
        };
        shards.shards().iter().map(|shard| read(shard.shard_id())).collect()
    }

    /// A queue, by its URL.
    pub fn queue(&self, name: &str) -> String {
        let call = self.sqs().create_queue().queue_name(name).send();
        self.wait(call).unwrap().queue_url.unwrap()
    }

    /// A topic whose messages go, as they are, into a queue: its ARN, and the queue's URL.
    pub fn topic_into_queue(&self, name: &str) -> (String, String) {
        let (sns, sqs) = (self.sns(), self.sqs());
        let topic = self.wait(sns.create_topic().name(name).send()).unwrap().topic_arn.unwrap();
        let queue = self.queue(name);
        let call = sqs.get_queue_attributes().queue_url(&queue);
        let call = call.attribute_names(aws_sdk_sqs::types::QueueAttributeName::QueueArn).send();
        let attributes = self.wait(call).unwrap().attributes.unwrap();
        let arn = &attributes[&aws_sdk_sqs::types::QueueAttributeName::QueueArn];
        let call = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn);
        self.wait(call.attributes("RawMessageDelivery", "true").send()).unwrap();
        (topic, queue)
    }

    pub fn send(&self, queue: &str, message: &str) {
        let call = self.sqs().send_message().queue_url(queue).message_body(message).send();
        self.wait(call).unwrap();
    }

    /// Takes all messages out of a queue.
    pub fn drain(&self, queue: &str) -> Vec<String> {
        let sqs = self.sqs();
        let mut bodies = Vec::new();
        loop {
            let call = sqs.receive_message().queue_url(queue).max_number_of_messages(10).send();
            let messages = self.wait(call).unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                return bodies;
            }
            for message in messages {
                let handle = message.receipt_handle.unwrap();
                let call = sqs.delete_message().queue_url(queue).receipt_handle(handle).send();
                self.wait(call).unwrap();
                bodies.push(message.body.unwrap());
            }
        }
    }

    /// One request to a service that no client of the product speaks to.
    pub fn http(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let (status, text) = self.try_http(method, path, body).unwrap();
        assert!((200..300).contains(&status), "{method} {path}: {status}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn try_http(&self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // The emulator looks for the service in the credential's scope, and checks nothing.
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok((status, body.to_owned()))
    }
}

fn credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "tests")
}

/// Waits for something that takes a while, and no longer than it takes.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
