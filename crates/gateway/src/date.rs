//! The `Date` of answers (RFC 9110, section 6.6.1), written once a second by each data thread.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

/// The last one written, and the second that it names.
#[derive(Default)]
pub(crate) struct DateOfNow(RefCell<Option<(u64, HeaderValue)>>);

impl DateOfNow {
    pub(crate) fn now(&self) -> HeaderValue {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.at(since.as_secs())
    }

    fn at(&self, second: u64) -> HeaderValue {
        let mut last = self.0.borrow_mut();
        match &*last {
            Some((named, value)) if *named == second => value.clone(),
            _ => {
                let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
                let value = HeaderValue::try_from(text).expect("a date is text");
                *last = Some((second, value.clone()));
                value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_its_second() {
        let date = DateOfNow::default();
        for (second, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), // of RFC 9110
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(date.at(second), text);
        }
    }
}
