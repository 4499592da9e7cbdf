//! One input, read in three ways: passed over quickly, read in full, and as a tree of values.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rolewatch::cloudtrail::is_ours;
use rolewatch::decode::{Decoded, Fault, Limits, decode};
use serde_json::Value;

/// Gzip, which says by its checksum that the text is what was written, so that records that are
/// not ours are passed over.
pub fn quickly(text: &[u8]) -> Decoded {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(text).expect("memory takes everything");
    decode(&encoder.finish().expect("memory takes everything"), Limits::default())
}

/// Of plain text every record is read.
pub fn in_full(text: &[u8]) -> Decoded {
    decode(text, Limits::default())
}

/// Holds the quick way to the full one, and the full one to the tree of values.
pub fn compare(text: &[u8]) {
    oracle(text, &alike(text));
}

/// Holds the quick way to the full one, whose answer it returns.
pub fn alike(text: &[u8]) -> Decoded {
    let (quick, full) = (quickly(text), in_full(text));
    let shown = || String::from_utf8_lossy(text).into_owned();
    let value = serde_json::from_slice::<Value>(text);
    let holds_texts = value.as_ref().is_ok_and(|it| it.get("logEvents").is_some());
    if full.faults.is_empty() || value.is_ok() && !holds_texts {
        // What is whole is read as the same, to the place of each record.
        assert_eq!(quick.records, full.records, "{}", shown());
        assert_eq!((quick.other, &quick.faults), (full.other, &full.faults), "{}", shown());
    } else {
        // Of what is broken inside, a record that is not ours may pass for one that is whole. One
        // of ours is seen wherever it is seen in full.
        let values = |it: &Decoded| it.records.iter().map(|it| it.1.clone()).collect::<Vec<_>>();
        let (quick_values, full_values) = (values(&quick), values(&full));
        let missed = full_values.iter().find(|it| !quick_values.contains(it));
        assert_eq!(missed, None, "{}", shown());
        assert!(quick.faults.len() <= full.faults.len(), "{}", shown());
    }
    full
}

/// What a plain reading of the whole text finds, where it is whole and has nothing odd in it.
fn oracle(text: &[u8], full: &Decoded) {
    let records = |value: &Value| -> Option<Vec<Value>> {
        if let Some(events) = value.get("logEvents") {
            let message = |it: &Value| serde_json::from_str(it.get("message")?.as_str()?).ok();
            return events.as_array()?.iter().map(message).collect();
        }
        value.get("Records")?.as_array().cloned()
    };
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return };
    let Some(records) = records(&value) else { return };
    let odd = |it: &Fault| matches!(it, Fault::Record(..) | Fault::Input(_));
    if full.faults.iter().any(odd) {
        return;
    }
    let text = |record: &Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let (ours, other): (Vec<Value>, Vec<Value>) = records
        .into_iter()
        .partition(|it| is_ours(&text(it, "eventSource"), &text(it, "eventName")));
    let found: Vec<Value> = full.records.iter().map(|it| it.1.clone()).collect();
    assert_eq!(found, ours);
    assert_eq!(full.other, other.len() as u64);
}
