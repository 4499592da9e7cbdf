//! A stub of the Lambda runtime API, of SNS and of SQS, on one port of this machine.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What happened, and what is to happen.
#[derive(Default)]
pub struct Script {
    /// Invocations that wait: payload, and time allowed.
    pub invocations: VecDeque<(String, Duration)>,
    /// Times at which the runtime asked for an invocation.
    pub polls: Vec<Instant>,
    /// Answers to invocations.
    pub answers: Vec<String>,
    /// Entries that SNS was offered, call by call.
    pub offered: Vec<Vec<BTreeMap<String, String>>>,
    /// Entries that SNS took.
    pub taken: Vec<BTreeMap<String, String>>,
    /// Ids of entries that SNS refuses the next time.
    pub refuse_once: Vec<String>,
    /// Whether SNS is throttled.
    pub throttled: bool,
    /// Topics, by the end of their ARN, that answer so late.
    pub slow: Vec<(String, Duration)>,
    /// Topics, by the end of their ARN, that refuse all calls.
    pub away: Vec<String>,
    /// Whether SQS is away.
    pub queue_away: bool,
    /// Messages that SQS took.
    pub queued: Vec<String>,
}

/// The stub.
#[derive(Clone)]
pub struct Stub {
    pub address: String,
    script: Arc<(Mutex<Script>, Condvar)>,
}

impl Stub {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stub = Self { address, script: Arc::default() };
        let serving = stub.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(connection));
            }
        });
        stub
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.0.lock().unwrap()
    }

    /// Hands out one invocation and waits for its answer.
    pub fn invoke(&self, payload: String, time: Duration) -> serde_json::Value {
        let answers = self.script().answers.len();
        self.script().invocations.push_back((payload, time));
        self.script.1.notify_all();
        let script = self.wait(|script| script.answers.len() > answers);
        serde_json::from_str(&script.answers[answers]).unwrap()
    }

    /// Hands out one invocation, and waits until it is taken.
    #[allow(dead_code, reason = "only some kill it at work")]
    pub fn offer(&self, payload: String, time: Duration) {
        self.script().invocations.push_back((payload, time));
        self.script.1.notify_all();
        drop(self.wait(|script| script.invocations.is_empty()));
    }

    pub fn wait(&self, until: impl Fn(&Script) -> bool) -> MutexGuard<'_, Script> {
        let limit = Duration::from_secs(240);
        let (script, late) =
            self.script.1.wait_timeout_while(self.script(), limit, |it| !until(it)).unwrap();
        assert!(!late.timed_out(), "nothing came for {limit:?}");
        script
    }

    /// The built function, with an environment as Lambda gives it.
    pub fn bootstrap(&self, settings: &[(&str, &str)]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrap"));
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &self.address)
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_LAMBDA_FUNCTION_NAME", "rolewatch")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test-secret")
            .env("AWS_REGION", "us-east-1")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let lines = std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).unwrap();
            text
        });
        Running { child, lines: Some(lines) }
    }

    fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut writer = connection.try_clone().ok()?;
        let mut reader = BufReader::new(connection);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).ok()? == 0 {
                    return None;
                }
            }
            let header = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            };
            let length = header("content-length").map_or(0, |it| it.parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let body = String::from_utf8(body).unwrap();
            let answer = self.answer(&head, &body);
            writer.write_all(answer.as_bytes()).ok()?;
            self.script.1.notify_all();
        }
    }

    fn answer(&self, head: &str, body: &str) -> String {
        if head.contains("/invocation/next") {
            self.script().polls.push(Instant::now());
            self.script.1.notify_all();
            let waiting = |script: &mut Script| script.invocations.is_empty();
            let mut script = self.script.1.wait_while(self.script(), waiting).unwrap();
            let (payload, time) = script.invocations.pop_front().unwrap();
            self.script.1.notify_all();
            let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + time;
            let lambda = format!(
                "Lambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Deadline-Ms: {}\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:1:function:f\r\n",
                deadline.as_millis()
            );
            return http("200 OK", &lambda, &payload);
        }
        if head.contains("/response") {
            self.script().answers.push(body.to_owned());
            return http("202 Accepted", "", "");
        }
        if head.to_ascii_lowercase().contains("amazonsqs.sendmessage") {
            let message: serde_json::Value = serde_json::from_str(body).unwrap();
            if self.script().queue_away {
                let error = "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\"}";
                return http("400 Bad Request", "", error);
            }
            self.script().queued.push(message["MessageBody"].as_str().unwrap().to_owned());
            return http("200 OK", "", "{\"MessageId\":\"1\"}");
        }
        self.publish(body)
    }

    fn publish(&self, body: &str) -> String {
        let topic = body.split('&').find_map(|pair| pair.strip_prefix("TopicArn="));
        let topic = unescape(topic.unwrap_or_default());
        let slow = self.script().slow.iter().find(|(end, _)| topic.ends_with(end)).cloned();
        if let Some((_, late)) = slow {
            std::thread::sleep(late);
        }
        let mut script = self.script();
        if script.away.iter().any(|end| topic.ends_with(end)) {
            let error = "<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code>\
                         <Message>no such topic</Message></Error></ErrorResponse>";
            return http("404 Not Found", "", error);
        }
        let entries = entries(body);
        script.offered.push(entries.clone());
        if script.throttled {
            let error = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttled</Code>\
                         <Message>slow down</Message></Error></ErrorResponse>";
            return http("429 Too Many Requests", "", error);
        }
        let (mut successful, mut failed) = (String::new(), String::new());
        for entry in entries {
            let id = entry["Id"].clone();
            if let Some(at) = script.refuse_once.iter().position(|refused| *refused == id) {
                script.refuse_once.remove(at);
                failed += &format!(
                    "<member><Id>{id}</Id><Code>InternalError</Code>\
                     <SenderFault>false</SenderFault></member>"
                );
            } else {
                successful += &format!("<member><Id>{id}</Id><MessageId>m</MessageId></member>");
                script.taken.push(entry);
            }
        }
        let xml = format!(
            "<PublishBatchResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
             <PublishBatchResult><Successful>{successful}</Successful><Failed>{failed}</Failed>\
             </PublishBatchResult></PublishBatchResponse>"
        );
        http("200 OK", "", &xml)
    }
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The entries of a PublishBatch, by field.
fn entries(body: &str) -> Vec<BTreeMap<String, String>> {
    let mut entries: BTreeMap<u32, BTreeMap<String, String>> = BTreeMap::new();
    for pair in body.split('&') {
        let (key, value) = pair.split_once('=').unwrap();
        let Some(rest) = key.strip_prefix("PublishBatchRequestEntries.member.") else { continue };
        let (number, field) = rest.split_once('.').unwrap();
        let entry = entries.entry(number.parse().unwrap()).or_default();
        entry.insert(field.to_owned(), unescape(value));
    }
    entries.into_values().collect()
}

fn unescape(value: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), value.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'%' => {
                let code = u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16);
                rest = &rest[2..];
                code.unwrap()
            }
            b'+' => b' ',
            other => *other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// A running function.
pub struct Running {
    pub child: Child,
    lines: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    /// Ends it, and gives the lines that it printed.
    pub fn end(mut self) -> Vec<serde_json::Value> {
        let _ = self.child.kill();
        self.ended().1
    }

    /// Waits for its end: its status, and the lines that it printed.
    pub fn ended(&mut self) -> (Option<i32>, Vec<serde_json::Value>) {
        let status = self.child.wait().unwrap().code();
        let text = self.lines.take().unwrap().join().unwrap();
        // One that was killed may have begun another line.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        (status, lines.map(|line| serde_json::from_str(line).expect(line)).collect())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
