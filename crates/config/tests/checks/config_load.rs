//! Any text ends in documents or in problems that say something.

use tandem_config::load::from_texts;

const PLATFORM: &str = "format: 1\nlisten: { public: { address: 127.0.0.1:0 } }\n";

/// Fails when a problem says nothing.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for loaded in [from_texts(text, &[]), from_texts(PLATFORM, &[("shop", text)])] {
        if let Err(problems) = loaded {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.what.is_empty(), "{text:?}");
                assert!(!problem.to_json().contains('\n'));
            }
        }
    }
}
