//! No path that passes has an empty, `.` or `..` segment, or a control byte; it is decoded once.

use tandem_contract::http_rule::path::Segments;

/// Fails when a path passes that must not.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(segments) = Segments::of(text) else { return };
    for segment in segments.decoded() {
        assert!(!segment.is_empty() && segment != "." && segment != "..", "{text:?}");
        assert!(!segment.chars().any(|letter| letter.is_ascii_control()), "{text:?}");
    }
    assert_eq!(
        segments.decoded().count() + usize::from(text.ends_with('/')),
        text.matches('/').count()
    );
}
