//! What is measured: inflating, and the ways in that the commands and the Lambda use.

use std::convert::Infallible;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use rolewatch::alert::Alert;
use rolewatch::cloudtrail;
use rolewatch::config::Config;
use rolewatch::decode::{Limits, decode_each};
use rolewatch::event::Event;
use rolewatch::local::{self, Progress};
use rolewatch::memory::WorkingSet;
use rolewatch::pipeline::{Alerts, Watch, run_batch};
use rolewatch::report::Report;
use serde_json::Value;
use tempfile::TempDir;

use super::measure::processor_time;

/// Inputs, compressed, in memory and on disk.
pub struct Logs {
    inputs: Vec<Vec<u8>>,
    paths: Vec<PathBuf>,
    folder: Option<TempDir>,
    text: usize,
    pub records: u64,
}

impl Logs {
    pub fn written(texts: impl Iterator<Item = String>) -> Self {
        let mut logs =
            Self { inputs: Vec::new(), paths: Vec::new(), folder: None, text: 0, records: 0 };
        for text in texts {
            logs.text += text.len();
            logs.records += text.matches("eventVersion").count() as u64;
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).expect("memory");
            logs.inputs.push(encoder.finish().expect("memory"));
        }
        let folder = logs.save();
        logs.paths = vec![folder.path().to_owned()];
        logs.folder = Some(folder);
        logs
    }

    /// The inputs as files of a folder.
    pub fn save(&self) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (number, input) in self.inputs.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{number:05}.json.gz")), input)
                .expect("room for a file");
        }
        folder
    }

    /// The files of a folder, by name alone.
    pub fn named(folder: &Path) -> Self {
        let paths = vec![folder.to_owned()];
        Self { inputs: Vec::new(), paths, folder: None, text: 0, records: 0 }
    }

    /// The files of a folder, in memory.
    pub fn loaded(folder: &Path) -> Self {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|it| it.expect("a file").path())
            .collect();
        paths.sort();
        let inputs = paths.iter().map(|it| std::fs::read(it).expect("a file")).collect();
        Self { inputs, ..Self::named(folder) }
    }

    pub fn describe(&self, name: &str) -> String {
        let stored: usize = self.inputs.iter().map(Vec::len).sum();
        format!(
            "{name}: {} records in {} inputs, {} bytes each, {:.1} : 1",
            self.records,
            self.inputs.len(),
            self.text as u64 / self.records.max(1),
            self.text as f64 / stored as f64,
        )
    }
}

/// Inflates everything into one buffer, and does nothing with it. The buffer is made once: to
/// fill it with zeros takes as long as to inflate a part of the logs.
pub fn inflater() -> impl FnMut(&Logs) {
    let mut decompressor = libdeflater::Decompressor::new();
    let mut buffer = vec![0; 16 << 20];
    move |logs| {
        for input in &logs.inputs {
            decompressor.gzip_decompress(input, &mut buffer).expect("sound gzip");
        }
        std::hint::black_box(&buffer);
    }
}

/// How much is done with what a stream brings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    No,
    Yes,
}

/// What the Lambda does with a stream: it decodes and reads records, each in its own order, until
/// they hold enough events to judge. Returns what is known then: it goes on with it.
pub fn stream(logs: &Logs, how: Judge) -> Judging {
    let mut judging = Judging::default();
    let mut events = Vec::new();
    for input in &logs.inputs {
        events.extend(in_order(judging.read(input)));
        if events.len() >= BATCH {
            judging.done(how, std::mem::take(&mut events));
        }
    }
    judging.done(how, events);
    judging
}

fn in_order(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by(|a, b| a.order().cmp(&b.order()));
    events
}

/// What `rolewatch replay` does with a folder, but for printing.
pub fn replay(logs: &Logs) -> Judging {
    let mut judging = Judging::default();
    let mut inputs = local::read(&logs.paths, &Progress::hidden(), &mut judging.report)
        .expect("room for temporary files");
    assert!(inputs.files.problems.is_empty());
    loop {
        let batch = inputs.events.take_batch(BATCH).expect("what was set aside");
        if batch.is_empty() {
            break;
        }
        judging.run(&batch);
    }
    judging
}

struct Discard;

impl Alerts for Discard {
    type Error = Infallible;

    fn publish(&mut self, alert: &Alert) -> Result<(), Infallible> {
        std::hint::black_box(alert);
        Ok(())
    }
}

/// Events that a replay, and a function that saves nothing, judge at a time.
pub const BATCH: usize = 250;

/// A pipeline whose alerts go nowhere.
#[derive(Default)]
pub struct Judging {
    memory: WorkingSet,
    config: Config,
    report: Report,
    /// Processor time of judging alone, once somebody asks for it: valgrind knows of no clock.
    pub nanoseconds: Option<f64>,
}

impl Judging {
    fn read(&mut self, input: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        let decoded = decode_each(input, Limits::default(), &mut |_, record| {
            events.extend(cloudtrail::read_in_place(record).expect("a sound record"));
        });
        assert!(decoded.faults.is_empty());
        self.report.other += decoded.other;
        events
    }

    /// Judges these, in the order of judging.
    pub fn judge(&mut self, events: Vec<Event>) {
        self.run(&in_order(events));
    }

    fn done(&mut self, how: Judge, events: Vec<Event>) {
        if how == Judge::Yes {
            self.run(&events);
        }
    }

    fn run(&mut self, events: &[Event]) {
        let watch = Watch { config: &self.config, learn_until: None };
        let start = self.nanoseconds.map(|before| processor_time() - before);
        let done = run_batch(&mut self.memory, watch, events, &mut Discard, &mut self.report);
        self.nanoseconds = start.map(|start| processor_time() - start);
        assert!(done.is_ok());
    }

    /// Judges these records.
    pub fn batch(&mut self, records: impl Iterator<Item = String>) {
        self.judge(read(records));
    }
}

/// What these records tell.
pub fn read(records: impl Iterator<Item = String>) -> Vec<Event> {
    let read = |it: String| {
        let value: Value = serde_json::from_str(&it).expect("JSON");
        cloudtrail::read(&value).expect("a sound record").expect("ours")
    };
    records.map(read).collect()
}

/// Holds what is found to a plain reading of every record.
pub fn oracle(logs: &Logs) {
    for input in &logs.inputs {
        let mut found = Vec::new();
        let decoded = decode_each(input, Limits::default(), &mut |_, record| {
            found.push(record.to_value());
        });
        let mut text = Vec::new();
        std::io::copy(&mut flate2::read::MultiGzDecoder::new(input.as_slice()), &mut text)
            .expect("sound gzip");
        let whole: Value = serde_json::from_slice(&text).expect("JSON");
        let records = match whole.get("logEvents").and_then(Value::as_array) {
            Some(events) => events.iter().filter_map(message).collect(),
            None => whole.get("Records").and_then(Value::as_array).cloned().unwrap_or_default(),
        };
        let text = |it: &Value, key: &str| {
            it.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (ours, other): (Vec<Value>, Vec<Value>) = records
            .into_iter()
            .partition(|it| cloudtrail::is_ours(&text(it, "eventSource"), &text(it, "eventName")));
        assert!(decoded.faults.is_empty() && found == ours);
        assert_eq!(decoded.other, other.len() as u64);
    }
}

fn message(event: &Value) -> Option<Value> {
    serde_json::from_str(event.get("message")?.as_str()?).ok()
}
