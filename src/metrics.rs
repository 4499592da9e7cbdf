//! The figures of a batch in CloudWatch's embedded metric format: one line of JSON, from which
//! CloudWatch makes metrics that it can aggregate.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::report::Report;
use crate::severity::Severity;

/// Most values that the format allows in one array.
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

    /// The line, for `function`, at `now` in milliseconds since 1970.
    #[must_use]
    pub fn to_line(&self, function: &str, now: u64) -> String {
        let mut figures = Map::new();
        let mut definitions = Vec::new();
        let mut put = |name: &str, unit: &str, value: Value| {
            definitions.push(json!({"Name": name, "Unit": unit}));
            figures.insert(name.to_owned(), value);
        };
        let report = &self.report;
        put("Records", "Count", report.records().into());
        put("Assumptions", "Count", report.assumptions.into());
        put("Undecodable", "Count", report.undecodable.into());
        put("Evicted", "Count", self.evicted.into());
        put("PublishFailures", "Count", self.publish_failures.into());
        put("Repeats", "Count", report.repeats.into());
        for severity in Severity::ALL {
            let count = report.alerts.get(&severity).copied().unwrap_or_default();
            put(alerts_of(severity), "Count", count.into());
        }
        let took = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        put("BatchTime", "Milliseconds", json!({"Values": [took], "Counts": [1]}));
        if let Some(lag) = self.lag.as_ref().filter(|lag| !lag.is_empty()) {
            put("AlertLag", "Milliseconds", arrays(lag));
        }
        figures.insert("FunctionName".to_owned(), function.into());
        figures.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now,
                "CloudWatchMetrics": [{
                    "Namespace": "rolewatch",
                    "Dimensions": [["FunctionName"]],
                    "Metrics": definitions,
                }],
            }),
        );
        Value::Object(figures).to_string()
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

/// The values of a histogram with their counts. Where there are too many, neighbours are counted
/// under the larger one, so that no lag looks shorter than it was.
fn arrays(histogram: &Histogram<u32>) -> Value {
    let mut buckets: Vec<(u64, u64)> = histogram
        .iter_recorded()
        .map(|it| (it.value_iterated_to(), it.count_since_last_iteration()))
        .collect();
    while buckets.len() > MOST_VALUES {
        buckets = buckets
            .chunks(2)
            .filter_map(|pair| {
                let (value, _) = pair.last()?;
                Some((*value, pair.iter().map(|(_, count)| count).sum()))
            })
            .collect();
    }
    let (values, counts): (Vec<u64>, Vec<u64>) = buckets.into_iter().unzip();
    json!({"Values": values, "Counts": counts})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_within_the_limits_of_the_format() {
        let mut metrics = Metrics::default();
        for n in 1..100_000_u64 {
            metrics.alert_after(Duration::from_millis(n * 37));
        }
        let line = metrics.to_line("rolewatch", 1_767_225_600_000);
        assert!(!line.contains('\n'));
        let line: Value = serde_json::from_str(&line).unwrap();
        let values = line["AlertLag"]["Values"].as_array().unwrap();
        let counts = line["AlertLag"]["Counts"].as_array().unwrap();
        assert!(values.len() == counts.len() && values.len() <= MOST_VALUES);
        assert_eq!(counts.iter().map(|it| it.as_u64().unwrap()).sum::<u64>(), 99_999);
        let largest = values.last().unwrap().as_u64().unwrap();
        assert!((3_699_963..3_750_000).contains(&largest), "{largest}");
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            assert!(!line[name].is_null(), "{name}");
        }
    }

    #[test]
    fn a_batch_without_alerts_has_no_lag() {
        let line: Value = serde_json::from_str(&Metrics::default().to_line("f", 0)).unwrap();
        assert!(line["AlertLag"].is_null());
        assert_eq!(line["BatchTime"], json!({"Values": [0], "Counts": [1]}));
    }
}
