//! The dates of signatures: `YYYYMMDDTHHMMSSZ`.

use std::fmt;

use time::{Date, Month, OffsetDateTime, Time};

/// Characters of a date.
pub const AMZ_DATE_LENGTH: usize = 16;

/// A moment in whole seconds (UTC), with its text as signatures have it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AmzDate {
    text: [u8; AMZ_DATE_LENGTH],
    at: OffsetDateTime,
}

impl AmzDate {
    /// The moment, cut to whole seconds. Years outside 0 to 9999 cannot be written and become the nearest that can.
    #[must_use]
    pub fn of(at: OffsetDateTime) -> Self {
        let at = at.to_offset(time::UtcOffset::UTC);
        let at = at.replace_nanosecond(0).unwrap_or(at);
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second) = at.to_hms();
        let year = u32::try_from(year).unwrap_or(0).min(9999);
        let mut text = *b"00000000T000000Z";
        let fields = [
            (0..4, year),
            (4..6, u32::from(u8::from(month))),
            (6..8, u32::from(day)),
            (9..11, u32::from(hour)),
            (11..13, u32::from(minute)),
            (13..15, u32::from(second)),
        ];
        for (range, mut number) in fields {
            for digit in text.get_mut(range).into_iter().flatten().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        Self { text, at }
    }

    /// Reads exactly `YYYYMMDDTHHMMSSZ`: no fraction, no other zone, no impossible day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = <[u8; AMZ_DATE_LENGTH]>::try_from(text.as_bytes()).ok()?;
        let [y1, y2, y3, y4, m1, m2, d1, d2, b'T', h1, h2, n1, n2, s1, s2, b'Z'] = bytes else { return None };
        let date = Date::from_calendar_date(
            i32::from(two(y1, y2)?) * 100 + i32::from(two(y3, y4)?),
            Month::try_from(two(m1, m2)?).ok()?,
            two(d1, d2)?,
        )
        .ok()?;
        let time = Time::from_hms(two(h1, h2)?, two(n1, n2)?, two(s1, s2)?).ok()?;
        Some(Self { text: bytes, at: OffsetDateTime::new_utc(date, time) })
    }

    /// The sixteen characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The day as credential scopes have it: `YYYYMMDD`.
    #[must_use]
    pub fn day(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }

    /// The moment.
    #[must_use]
    pub fn at(&self) -> OffsetDateTime {
        self.at
    }
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

impl fmt::Debug for AmzDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_date_has_one_form() {
        assert_eq!(AmzDate::parse("20150830T123600Z").unwrap().at(), datetime!(2015-08-30 12:36:00 UTC));
        assert_eq!(AmzDate::parse("20240229T000000Z").unwrap().day(), "20240229");
        for text in [
            "",
            "20150830",
            "20150830T123600",
            "20150830T123600z",
            "20150830t123600Z",
            "20150830T123600.5Z",
            "2015-08-30T12:36:00Z",
            "20150832T123600Z",
            "20151330T123600Z",
            "20230229T000000Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "20150830T123660Z",
            "+0150830T123600Z",
            " 0150830T123600Z",
            "２0150830T1236Z",
        ] {
            assert!(AmzDate::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn other_zones_and_fractions_are_written_as_utc_seconds() {
        assert_eq!(AmzDate::of(datetime!(2015-08-30 14:36:00.9 +2)).as_str(), "20150830T123600Z");
    }

    proptest! {
        #[test]
        fn every_second_round_trips(seconds in 0i64..253_402_300_800) {
            let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let date = AmzDate::of(at);
            prop_assert_eq!(AmzDate::parse(date.as_str()), Some(date));
            prop_assert_eq!(date.at(), at);
        }
    }
}
