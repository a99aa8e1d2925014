//! "Did you mean": the nearest of some names (experience UX-19).
//!
//! Not here: which names a reader may see; the caller offers only those.

/// The nearest name, at most two letters away and nearer than writing it anew.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LETTERS_MAX: usize = 256;
    let written: Vec<char> = written.chars().take(LETTERS_MAX + 1).collect();
    if written.len() > LETTERS_MAX {
        return None;
    }
    names
        .into_iter()
        .map(|name| (distance(&written, &name.chars().collect::<Vec<_>>()), name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len().min(written.len()))
        .min()
        .map(|(_, name)| name)
}

/// ``; did you mean `x`?`` or nothing.
pub(crate) fn or_nothing<'a>(
    written: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(written, names).map(|name| format!("did you mean `{name}`?"))
}

/// Letters to put in, take out, exchange or swap with their neighbour (Damerau, 1964, in the
/// form that edits no stretch twice).
fn distance(one: &[char], other: &[char]) -> usize {
    if one.len().abs_diff(other.len()) > 2 {
        return 3;
    }
    let mut before = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut now = vec![row + 1];
        for (column, opposite) in other.iter().enumerate() {
            let exchanged = last[column] + usize::from(letter != opposite);
            let mut best = exchanged.min(last[column + 1] + 1).min(now[column] + 1);
            let swapped =
                row > 0 && column > 0 && *letter == other[column - 1] && one[row - 1] == *opposite;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            now.push(best);
        }
        before = std::mem::replace(&mut last, now);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experience_ux_19_two_letters_away_is_near_three_is_not() {
        let names = ["upstreams", "methods", "go"];
        let check = |written: &str, near: Option<&str>| {
            assert_eq!(nearest(written, names), near, "{written}");
        };
        check("upstream", Some("upstreams"));
        check("upstrems", Some("upstreams"));
        check("upstraems", Some("upstreams")); // swapped neighbours are one step
        check("upstrea", Some("upstreams"));
        check("upstre", None);
        check("g", None); // as short as writing it anew
        check("xy", None);
        check(&"u".repeat(100_000), None);
    }
}
