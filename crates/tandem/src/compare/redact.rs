//! Command lines as a report may hold them: no passwords, tokens or keys (compare T-19).
//!
//! Names give secrets away: `--token X`, `--password=X`, `API_KEY=X` and addresses with
//! `user:password@` lose their values, inside of quoted commands too.

/// What a name of a secret has in it, in lower case.
const SECRET: [&str; 8] =
    ["token", "secret", "passw", "apikey", "api-key", "api_key", "credential", "authorization"];
const REDACTED: &str = "(redacted)";

/// The words of a command line.
pub(crate) fn argv(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut value_next = false;
    words
        .map(|word| {
            if std::mem::take(&mut value_next) && !word.starts_with('-') {
                return REDACTED.to_owned();
            }
            value_next = is_secret_flag(&word);
            text(&word)
        })
        .collect()
}

/// One text, the words of a command inside of it among them.
pub(crate) fn text(text: &str) -> String {
    if !text.contains(' ') {
        return word(text);
    }
    let mut value_next = false;
    let words = text.split(' ').map(|part| {
        if std::mem::take(&mut value_next) && !part.starts_with('-') {
            return REDACTED.to_owned();
        }
        value_next = is_secret_flag(part);
        word(part)
    });
    words.collect::<Vec<_>>().join(" ")
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|secret| name.contains(secret))
}

/// A flag whose value is the next word; one that names a file of a secret shows no secret.
fn is_secret_flag(word: &str) -> bool {
    word.starts_with('-') && !word.contains('=') && is_secret(word) && !word.ends_with("-file")
}

fn word(word: &str) -> String {
    if let Some((name, _)) = word.rsplit_once('=').filter(|(name, _)| is_secret(name)) {
        return format!("{name}={REDACTED}");
    }
    if let Some((scheme, rest)) = word.split_once("://")
        && let Some((user, host)) = rest.split_once('@')
        && user.contains(':')
        && !user.contains('/')
    {
        return format!("{scheme}://{REDACTED}@{host}");
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_t_19_no_credential_of_a_command_line_is_kept() {
        for (word, expected) in [
            ("--rate", "--rate"),
            (
                "a=exec:./svc --db-password x7 --port {port}",
                "a=exec:./svc --db-password (redacted) --port {port}",
            ),
            ("a=exec:API_KEY=x7 ./svc", "a=exec:API_KEY=(redacted) ./svc"),
            ("a=exec:./svc --token=x7", "a=exec:./svc --token=(redacted)"),
            ("postgres://me:x7@db/a", "postgres://(redacted)@db/a"),
            ("--token-file", "--token-file"),
        ] {
            assert_eq!(text(word), expected);
        }
        let words = ["tandem", "--admin-token", "x7", "compare"].map(str::to_owned);
        let kept = argv(words.into_iter());
        assert_eq!(kept, ["tandem", "--admin-token", "(redacted)", "compare"]);
    }
}
