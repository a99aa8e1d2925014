//! Texts: keys, words, and what has a form of its own.

use tandem_contract::fields;
use tandem_contract::rules::TextRules;
use tandem_judge::stats::draws::Draws;

/// Words of several lengths, some beyond ASCII.
const WORDS: [&str; 32] = [
    "a",
    "of",
    "to",
    "sea",
    "red",
    "iron",
    "long",
    "dune",
    "night",
    "river",
    "paper",
    "glass",
    "naïve",
    "señor",
    "garden",
    "winter",
    "silver",
    "Straße",
    "morning",
    "harbour",
    "journey",
    "mountain",
    "umbrella",
    "lighthouse",
    "adventure",
    "navigation",
    "observatory",
    "thunderstorm",
    "café",
    "東京",
    "cartography",
    "wilderness",
];

/// Texts whose form `buf.validate` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Email,
    Host,
    Ip4,
    Ip6,
    Uri,
    Uuid,
}

impl Format {
    /// The form that a serialized `buf.validate.FieldRules` of a string asks for, where it asks
    /// for nothing else.
    ///
    /// Source of the numbers: `StringRules` of buf/validate/validate.proto.
    pub(super) fn of_rules(rules: &[u8]) -> Option<Format> {
        const STRING: u32 = 14;
        let of_string =
            fields::each(rules).map_while(Result::ok).find(|part| part.number == STRING)?;
        let asked: Vec<_> = fields::each(of_string.bytes).map_while(Result::ok).collect();
        let [asked] = &asked[..] else { return None };
        match (asked.number, asked.value) {
            (12, 1) => Some(Format::Email),
            (13, 1) => Some(Format::Host),
            (14 | 15, 1) => Some(Format::Ip4),
            (16, 1) => Some(Format::Ip6),
            (17 | 18, 1) => Some(Format::Uri),
            (22, 1) => Some(Format::Uuid),
            _ => None,
        }
    }

    /// The text of a key's rank.
    pub(super) fn text(self, rank: u64) -> String {
        match self {
            Format::Email => format!("user-{rank}@example.com"),
            Format::Host => format!("host-{rank}.example.com"),
            Format::Ip4 => format!("198.18.{}.{}", (rank >> 8) & 0xff, rank & 0xff),
            Format::Ip6 => format!("2001:db8::{:x}:{:x}", (rank >> 16) & 0xffff, rank & 0xffff),
            Format::Uri => format!("https://example.com/items/{rank}"),
            Format::Uuid => {
                let mut draws = Draws::new(rank);
                let (high, low) = (draws.next(), draws.next());
                // Version 4, variant 1 (RFC 9562, section 5.4).
                let high = high & 0xffff_ffff_ffff_0fff | 0x4000;
                let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
                format!(
                    "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                    high >> 32,
                    (high >> 16) & 0xffff,
                    high & 0xffff,
                    low >> 48,
                    low & 0xffff_ffff_ffff
                )
            }
        }
    }
}

/// The key of a rank: the same text whenever the rank comes.
pub(super) fn key(rank: u64, digits: usize, rules: &TextRules) -> String {
    // Cut at its front where the rules want it short: the last digits tell keys apart.
    let text = format!("key-{rank:0digits$}");
    let (least, most) = lengths(rules);
    let cut = text.chars().count().saturating_sub(most);
    fit(&text[cut..], least, most, rules)
}

/// Words up to about `size` bytes, within the rules.
pub(super) fn words(draws: &mut Draws, size: u64, rules: &TextRules) -> String {
    let (least, most) = lengths(rules);
    let size = usize::try_from(size).unwrap_or(usize::MAX).clamp(least, most.max(least));
    // ASCII where bytes are counted.
    let is_plain = rules.bytes.is_some() || rules.bytes_most.is_some();
    let mut text = String::new();
    while text.len() < size {
        if !text.is_empty() {
            text.push(' ');
        }
        let word = WORDS[draws.below(WORDS.len())];
        text.push_str(if is_plain && !word.is_ascii() { "plain" } else { word });
    }
    let text: String = text.chars().take(size.max(1)).collect();
    fit(text.trim_end(), least, most, rules)
}

/// Characters that the rules leave for the text itself, without what must stand around it.
fn lengths(rules: &TextRules) -> (usize, usize) {
    let around = [&rules.prefix, &rules.suffix, &rules.contains];
    let around: usize = around.map(|part| part.chars().count()).iter().sum();
    let exact = rules.length.or(rules.bytes);
    let least = exact.unwrap_or(rules.least.max(rules.bytes_least));
    let most = exact.or(rules.most).or(rules.bytes_most).unwrap_or(u64::MAX);
    let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(around);
    (size(least), size(most))
}

fn fit(text: &str, least: usize, most: usize, rules: &TextRules) -> String {
    let mut body: String = text.chars().take(most).collect();
    let missing = least.saturating_sub(body.chars().count());
    body.extend(std::iter::repeat_n('x', missing));
    let TextRules { prefix, suffix, contains, .. } = rules;
    format!("{prefix}{contains}{body}{suffix}")
}
