//! The figures of a batch in CloudWatch's embedded metric format: lines of JSON, from which
//! CloudWatch makes metrics that it can aggregate.
//!
//! The limits are those of the format's specification: at most 100 metrics in a line, each a
//! number or an array of at most 100 numbers, one for each observation.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::report::Report;
use crate::severity::Severity;

/// Most values that the format allows in one array. Where there are more, they go on in further
/// lines.
const MOST_VALUES: usize = 100;

/// The longest lag that is told apart: a week, in milliseconds. Streams keep records for a day,
/// or longer where somebody pays for it.
const LONGEST: u64 = 7 * 24 * 3_600 * 1_000;

/// The figures of one batch.
#[derive(Debug)]
pub struct Metrics {
    /// What became of every record.
    pub report: Report,
    /// Roles, callers, sessions and waiting calls forgotten for want of room.
    pub evicted: u64,
    /// Alerts, or dead letters, that were not accepted: the batch comes again from there.
    pub publish_failures: u64,
    /// How long the batch took.
    pub took: Duration,
    lag: Option<Histogram<u32>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            report: Report::default(),
            evicted: 0,
            publish_failures: 0,
            took: Duration::ZERO,
            // Two digits: a lag of 12 s or 12.1 s is the same to whoever waits for it.
            lag: Histogram::new_with_bounds(1, LONGEST, 2).ok(),
        }
    }
}

impl Metrics {
    /// Counts the time from an event to the moment its alert was accepted.
    pub fn alert_after(&mut self, lag: Duration) {
        if let Some(histogram) = &mut self.lag {
            histogram.saturating_record(u64::try_from(lag.as_millis()).unwrap_or(LONGEST).max(1));
        }
    }

    /// The lines, for `function`, at `now` in milliseconds since 1970. What became of every
    /// record stands in the first, so that its sum can be checked; of it what an alarm may rest
    /// on is a metric.
    #[must_use]
    pub fn to_lines(&self, function: &str, now: u64) -> Vec<String> {
        let lags: Vec<u64> = self.lag.iter().flat_map(observations).collect();
        let mut lags = lags.chunks(MOST_VALUES);
        let mut first = self.figures();
        first.lags(lags.next());
        let mut lines = vec![first.finish(function, now)];
        lines.extend(lags.map(|lags| {
            let mut more = Line::default();
            more.lags(Some(lags));
            more.finish(function, now)
        }));
        lines
    }

    fn figures(&self) -> Line {
        let mut line = Line::default();
        let report = &self.report;
        line.count("Records", report.records());
        line.count("Assumptions", report.assumptions);
        line.count("Undecodable", report.undecodable);
        line.count("Evicted", self.evicted);
        line.count("PublishFailures", self.publish_failures);
        line.count("Repeats", report.repeats);
        for severity in Severity::ALL {
            line.count(alerts_of(severity), report.alerts.get(&severity).copied().unwrap_or(0));
        }
        let took = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        line.metric("BatchTime", "Milliseconds", json!([took]));
        let beside = [
            ("Joined", report.joined),
            ("TrustChanges", report.trust_changes),
            ("SignIns", report.sign_ins),
            ("Duplicates", report.duplicates),
            ("Other", report.other),
        ];
        line.members.extend(beside.map(|(name, count)| (name.to_owned(), count.into())));
        line
    }
}

/// A line under construction.
#[derive(Default)]
struct Line {
    definitions: Vec<Value>,
    members: Map<String, Value>,
}

impl Line {
    fn metric(&mut self, name: &str, unit: &str, value: Value) {
        self.definitions.push(json!({"Name": name, "Unit": unit}));
        self.members.insert(name.to_owned(), value);
    }

    fn count(&mut self, name: &str, count: u64) {
        self.metric(name, "Count", count.into());
    }

    fn lags(&mut self, lags: Option<&[u64]>) {
        if let Some(lags) = lags {
            self.metric("AlertLag", "Milliseconds", json!(lags));
        }
    }

    fn finish(mut self, function: &str, now: u64) -> String {
        self.members.insert("FunctionName".to_owned(), function.into());
        let directive = json!({
            "Namespace": "rolewatch",
            "Dimensions": [["FunctionName"]],
            "Metrics": self.definitions,
        });
        let metadata = json!({"Timestamp": now, "CloudWatchMetrics": [directive]});
        self.members.insert("_aws".to_owned(), metadata);
        Value::Object(self.members).to_string()
    }
}

fn alerts_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "AlertsLow",
        Severity::Medium => "AlertsMedium",
        Severity::High => "AlertsHigh",
        Severity::Critical => "AlertsCritical",
    }
}

/// Every observation of a histogram, as the largest value that it does not tell apart from it.
fn observations(histogram: &Histogram<u32>) -> impl Iterator<Item = u64> {
    histogram.iter_recorded().flat_map(|it| {
        let count = usize::try_from(it.count_since_last_iteration()).unwrap_or(usize::MAX);
        std::iter::repeat_n(it.value_iterated_to(), count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a line as CloudWatch does: the metrics that its directive names, with their values.
    fn extract(line: &str) -> Vec<(String, Vec<f64>)> {
        assert!(!line.contains('\n') && line.len() < 256 * 1024);
        let line: Value = serde_json::from_str(line).unwrap();
        let metadata = &line["_aws"];
        assert!(metadata["Timestamp"].is_u64());
        let [directive] = &metadata["CloudWatchMetrics"].as_array().unwrap()[..] else {
            panic!("one directive: {line}")
        };
        assert_eq!(directive["Namespace"], "rolewatch");
        for dimension in directive["Dimensions"][0].as_array().unwrap() {
            let value = line[dimension.as_str().unwrap()].as_str().unwrap();
            assert!((1..=1_024).contains(&value.len()));
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!(!metrics.is_empty() && metrics.len() <= 100);
        let metric = |metric: &Value| {
            let name = metric["Name"].as_str().unwrap();
            assert!(["Count", "Milliseconds"].contains(&metric["Unit"].as_str().unwrap()));
            let values = match &line[name] {
                Value::Array(values) => values.iter().map(|it| it.as_f64().unwrap()).collect(),
                value => vec![value.as_f64().unwrap()],
            };
            assert!(!values.is_empty() && values.len() <= 100, "{name}: {}", values.len());
            (name.to_owned(), values)
        };
        metrics.iter().map(metric).collect()
    }

    #[test]
    fn every_observation_arrives_within_the_limits_of_the_format() {
        let mut metrics = Metrics::default();
        for n in 1..=12_345_u64 {
            metrics.alert_after(Duration::from_millis(n * 37));
        }
        let lines = metrics.to_lines("rolewatch", 1_767_225_600_000);
        assert_eq!(lines.len(), 124);
        let metrics: Vec<_> = lines.iter().flat_map(|line| extract(line)).collect();
        let lags = metrics.iter().filter(|(name, _)| name == "AlertLag");
        let lags: Vec<f64> = lags.flat_map(|(_, values)| values.clone()).collect();
        assert_eq!(lags.len(), 12_345);
        for (n, lag) in (1..=12_345_u32).zip(&lags) {
            let told = f64::from(n * 37);
            assert!((told..=told * 1.01 + 1.0).contains(lag), "{lag} for {told}");
        }
        assert_eq!(metrics.iter().filter(|(name, _)| name == "Records").count(), 1);
    }

    #[test]
    fn a_batch_without_alerts_has_no_lag_and_its_figures_add_up() {
        let mut metrics = Metrics::default();
        let report = &mut metrics.report;
        (report.assumptions, report.joined, report.trust_changes) = (1, 2, 4);
        (report.sign_ins, report.duplicates, report.other, report.undecodable) = (8, 16, 32, 64);
        let lines = metrics.to_lines("f", 0);
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(extract(line).iter().all(|(name, _)| name != "AlertLag"));
        let line: Value = serde_json::from_str(line).unwrap();
        let parts = ["Assumptions", "Joined", "TrustChanges", "SignIns", "Duplicates", "Other"];
        let sum: u64 = parts.iter().map(|name| line[name].as_u64().unwrap()).sum();
        assert_eq!(sum + line["Undecodable"].as_u64().unwrap(), 127);
        assert_eq!((&line["Records"], &line["BatchTime"]), (&json!(127), &json!([0])));
    }
}
