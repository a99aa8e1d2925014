//! The page around the parts of a report: escaping, head, tables.

use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Text as it may stand in an element or an attribute: nothing in it is markup.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Controls, and letters that turn the direction of what follows them.
            '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => safe.push('\u{fffd}'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

/// The whole page around `body`, which is markup.
pub(super) fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escape(title)
    )
}

/// A table. The first cell of a row is its head; cells are markup, heads are text.
pub(super) fn table(caption: &str, heads: &[&str], rows: &[Vec<Td>]) -> String {
    let mut text = format!("<table>\n<caption>{}</caption>\n<thead><tr>", escape(caption));
    for head in heads {
        _ = write!(text, "<th scope=\"col\">{}</th>", escape(head));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        for (place, Td { class, markup }) in row.iter().enumerate() {
            let class =
                if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
            let head = heads.get(place).copied().unwrap_or_default();
            _ = match place {
                0 => write!(text, "<th scope=\"row\"{class}>{markup}</th>"),
                _ => write!(text, "<td{class} data-name=\"{}\">{markup}</td>", escape(head)),
            };
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n");
    text
}

/// A cell of a table.
pub(super) struct Td {
    class: &'static str,
    markup: String,
}

impl Td {
    pub(super) fn text(text: &str) -> Td {
        Td { class: "", markup: escape(text) }
    }

    pub(super) fn classed(class: &'static str, text: &str) -> Td {
        Td { class, markup: escape(text) }
    }

    pub(super) fn markup(markup: String) -> Td {
        Td { class: "", markup }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escape("<script>'\"&\u{0}\u{202e}</script>\n"),
            "&lt;script&gt;&#39;&quot;&amp;\u{fffd}\u{fffd}&lt;/script&gt;\n"
        );
    }
}
