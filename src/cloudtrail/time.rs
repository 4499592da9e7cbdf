//! The spellings of time in CloudTrail.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// `eventTime`: RFC 3339, or the same without a zone, or with a space and nanoseconds; UTC
/// where none is said.
pub(super) fn event_time(raw: &str) -> Option<Timestamp> {
    let raw = raw.trim();
    raw.parse().ok().or_else(|| utc(raw.parse().ok()?))
}

/// `credentials.expiration`: twelve-hour text with or without a comma after the year, where the
/// space before AM or PM may be a narrow no-break one; or RFC 3339.
pub(super) fn expiration(raw: &str) -> Option<Timestamp> {
    let plain: String = raw.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    ["%b %d, %Y, %I:%M:%S %p", "%b %d, %Y %I:%M:%S %p"]
        .iter()
        .find_map(|format| utc(DateTime::strptime(format, &plain).ok()?))
        .or_else(|| event_time(raw))
}

fn utc(civil: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_times_in_every_spelling() {
        for raw in [
            "2024-06-02T19:41:40Z",
            "2024-06-02T19:41:40.000Z",
            "2024-06-02T21:41:40+02:00",
            "2024-06-02 19:41:40.000000000",
            "2024-06-02T19:41:40",
        ] {
            assert_eq!(event_time(raw).unwrap().to_string(), "2024-06-02T19:41:40Z", "{raw}");
        }
        for raw in ["", "yesterday", "2024-13-02T19:41:40Z", "1717357300"] {
            assert_eq!(event_time(raw), None, "{raw}");
        }
    }

    #[test]
    fn expirations_in_every_spelling() {
        for (raw, at) in [
            ("Jul 10, 2023, 12:31:14 PM", "2023-07-10T12:31:14Z"),
            ("Jul 10, 2023, 12:31:14\u{202f}PM", "2023-07-10T12:31:14Z"),
            ("Oct 2, 2019 11:12:29 PM", "2019-10-02T23:12:29Z"),
            ("Oct 2, 2019 12:00:00 AM", "2019-10-02T00:00:00Z"),
            ("2023-07-10T12:31:14Z", "2023-07-10T12:31:14Z"),
        ] {
            assert_eq!(expiration(raw).map(|t| t.to_string()).as_deref(), Some(at), "{raw}");
        }
        assert_eq!(expiration("soon"), None);
    }
}
