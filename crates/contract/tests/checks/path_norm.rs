//! No path that passes has an empty, `.` or `..` segment, or a control byte; it is decoded once,
//! and a slash that an escape brings in is noted.

use tandem_contract::http_rule::path::Path;

/// Fails when a path passes that must not.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(path) = Path::of(text) else { return };
    let mut encoded = false;
    for segment in path.segments() {
        assert!(!segment.is_empty() && segment != "." && segment != "..", "{text:?}");
        assert!(!segment.chars().any(|letter| letter.is_ascii_control()), "{text:?}");
        encoded |= segment.contains(['/', '\\']);
    }
    // What only an escape can have brought in is held for the method to judge.
    assert_eq!(path.held().is_some(), encoded, "{text:?}");
    assert_eq!(path.trailing_slash(), text.len() > 1 && text.ends_with('/'), "{text:?}");
    let slashes = text.matches('/').count() - usize::from(text.ends_with('/'));
    assert_eq!(path.segments().count(), slashes, "{text:?}");
}
