//! The spellings of time in CloudTrail.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// `eventTime`: RFC 3339, or the same without a zone, or with a space and nanoseconds; UTC
/// where none is said.
pub(super) fn event_time(raw: &str) -> Option<Timestamp> {
    if let Some(time) = usual_event_time(raw.as_bytes()) {
        return Some(time);
    }
    let raw = raw.trim();
    raw.parse().ok().or_else(|| utc(raw.parse().ok()?))
}

/// `2024-06-02T19:41:40Z`, as nearly all are written: without asking for every other spelling.
fn usual_event_time(raw: &[u8]) -> Option<Timestamp> {
    let [y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b'T', rest @ ..] = raw else { return None };
    let [h1, h2, b':', m1, m2, b':', s1, s2, b'Z'] = rest else { return None };
    let year = number(&[*y1, *y2, *y3, *y4])?;
    civil(
        [year, number(&[*o1, *o2])?, number(&[*d1, *d2])?],
        [number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?],
    )
}

/// A number of a few digits.
fn number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0, |number: i16, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i16::from(digit - b'0'))
    })
}

/// Year, month and day; hour, minute and second.
fn civil([year, month, day]: [i16; 3], time: [i16; 3]) -> Option<Timestamp> {
    let [hour, minute, second] = time.map(|it| i8::try_from(it).unwrap_or(i8::MAX));
    let [month, day] = [month, day].map(|it| i8::try_from(it).unwrap_or(i8::MAX));
    utc(DateTime::new(year, month, day, hour, minute, second, 0).ok()?)
}

/// `credentials.expiration`: twelve-hour text with or without a comma after the year, where the
/// space before AM or PM may be a narrow no-break one; or RFC 3339.
pub(super) fn expiration(raw: &str) -> Option<Timestamp> {
    if let Some(time) = usual_expiration(raw) {
        return Some(time);
    }
    let plain: String = raw.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    ["%b %d, %Y, %I:%M:%S %p", "%b %d, %Y %I:%M:%S %p"]
        .iter()
        .find_map(|format| utc(DateTime::strptime(format, &plain).ok()?))
        .or_else(|| event_time(raw))
}

/// `Jul 10, 2023, 12:31:14 PM`, as nearly all are written: what the formats say, in a twentieth
/// of the time.
fn usual_expiration(raw: &str) -> Option<Timestamp> {
    let (month, rest) = raw.as_bytes().split_first_chunk()?;
    let month = MONTHS.iter().position(|it| *it == month)? + 1;
    let (day, rest) = match rest {
        [b' ', d1, b',', b' ', rest @ ..] => (number(&[*d1])?, rest),
        [b' ', d1, d2, b',', b' ', rest @ ..] => (number(&[*d1, *d2])?, rest),
        _ => return None,
    };
    let (year, rest) = rest.split_first_chunk::<4>()?;
    let time = rest.strip_prefix(b",").unwrap_or(rest).strip_prefix(b" ")?;
    let (time, half) = time.split_last_chunk::<2>()?;
    let time = time.strip_suffix(b" ").or_else(|| time.strip_suffix("\u{202f}".as_bytes()))?;
    let [hour @ .., b':', m1, m2, b':', s1, s2] = time else { return None };
    let hour = Some(hour).filter(|it| (1..=2).contains(&it.len())).and_then(number)?;
    let hour = Some(hour).filter(|it| (1..=12).contains(it))? % 12;
    let hour = match half {
        b"AM" => hour,
        b"PM" => hour + 12,
        _ => return None,
    };
    civil(
        [number(year)?, i16::try_from(month).ok()?, day],
        [hour, number(&[*m1, *m2])?, number(&[*s1, *s2])?],
    )
}

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

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

    /// What is read the short way is read as the long way would, and nothing else is.
    #[test]
    fn the_short_ways_are_the_long_ones() {
        for raw in [
            "2024-06-02T19:41:40Z",
            "2024-02-30T19:41:40Z",
            "2024-06-02T24:00:00Z",
            "2024-06-02T23:59:60Z",
            "-024-06-02T19:41:40Z",
            "2024-06-02t19:41:40z",
        ] {
            let short = usual_event_time(raw.as_bytes());
            assert!(short.is_none() || short == raw.parse().ok(), "{raw}");
        }
        let format = "%b %d, %Y, %I:%M:%S %p";
        for (month, day, hour) in [("Jul", "1", "12"), ("Dec", "31", "1"), ("Feb", "29", "09")] {
            for year in ["2023", "2024", "0000", "9999", "123"] {
                for (second, half) in [("00", "AM"), ("59", "PM"), ("60", "PM"), ("5", "pm")] {
                    let raw = format!("{month} {day}, {year}, {hour}:07:{second} {half}");
                    let long = || utc(DateTime::strptime(format, &raw).ok()?);
                    let short = usual_expiration(&raw);
                    assert!(short.is_none() || short == long(), "{raw}: {short:?} {:?}", long());
                }
            }
        }
        for odd in ["anF 1, 2024, 1:00:00 AM", "Jan 1, 2024, 13:00:00 AM", "Jan 1, 2024 1:00 AM"] {
            assert_eq!(usual_expiration(odd), None, "{odd}");
        }
    }
}
