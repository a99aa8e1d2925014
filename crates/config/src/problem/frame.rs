//! Problems as people read them in a terminal: a frame with the lines of the file.
//!
//! Not here: where the text goes, whether the terminal takes colour (`tandem`).

use std::collections::BTreeSet;

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

use super::{Problem, Severity};

/// Problems that are shown; the others are counted (experience UX-19).
pub const SHOWN_MAX: usize = 50;

/// Whether escape sequences colour the frame. Nothing is said by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Colour,
}

/// Shows the first [`SHOWN_MAX`] problems, then counts them all; `outcome` ends the last line,
/// for example `nothing was applied`. Empty when there are none.
pub fn render(problems: &[Problem], paint: Paint, outcome: &str) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let renderer = match paint {
        Paint::Plain => Renderer::plain(),
        Paint::Colour => Renderer::styled(),
    };
    let mut text = String::new();
    for problem in problems.iter().take(SHOWN_MAX) {
        text.push_str(&renderer.render(&[group(problem)]));
        text.push_str("\n\n");
    }
    if let Some(more @ 1..) = problems.len().checked_sub(SHOWN_MAX) {
        text.push_str(&format!("… and {more} more\n"));
    }
    text.push_str(&count(problems));
    if !outcome.is_empty() {
        text.push_str("; ");
        text.push_str(outcome);
    }
    text.push('\n');
    text
}

fn group(problem: &Problem) -> Group<'_> {
    let Problem { code, severity, what, file, line, column, path, here, why, fix, place } = problem;
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(normalize_untrusted_str(what)).id(code.name());
    let mut group = match (place, file) {
        (Some((source, place)), _) => {
            let end = place.span.end.min(source.text.len());
            let label = (!here.is_empty()).then(|| normalize_untrusted_str(here));
            let spot = AnnotationKind::Primary.span(place.span.start.min(end)..end).label(label);
            let above = place.context.clone().map(|span| AnnotationKind::Visible.span(span));
            let snippet = Snippet::source(source.text.as_str())
                .path(normalize_untrusted_str(&source.name))
                .annotation(spot)
                .annotations(above);
            title.element(snippet)
        }
        (None, Some(file)) => {
            let mut origin = Origin::path(normalize_untrusted_str(file));
            if let (Some(line), Some(column)) = (line, column) {
                origin = origin.line(*line).char_column(*column);
            }
            title.element(origin)
        }
        (None, None) if !path.is_empty() => title.element(Origin::path(path.as_str())),
        (None, None) => Group::with_title(title),
    };
    if place.is_none() && !here.is_empty() {
        group = group.element(note("here", here));
    }
    if !why.is_empty() {
        group = group.element(note("why", why));
    }
    if !fix.is_empty() {
        group = group.element(note("fix", fix));
    }
    group.element(note("more", &format!("tandem help {code}")))
}

fn note<'a>(name: &'static str, text: &str) -> annotate_snippets::Message<'a> {
    Level::NOTE.with_name(name).message(normalize_untrusted_str(text))
}

/// `2 problems, 1 warning in 2 files`
fn count(problems: &[Problem]) -> String {
    let warnings = problems.iter().filter(|problem| problem.severity == Severity::Warning).count();
    let errors = problems.len() - warnings;
    let files: BTreeSet<_> = problems.iter().filter_map(|problem| problem.file.as_ref()).collect();
    let several = |number: usize, name: &str| match number {
        1 => format!("1 {name}"),
        _ => format!("{number} {name}s"),
    };
    let mut text = match (errors, warnings) {
        (errors, 0) => several(errors, "problem"),
        (0, warnings) => several(warnings, "warning"),
        (errors, warnings) => {
            format!("{}, {}", several(errors, "problem"), several(warnings, "warning"))
        }
    };
    if !files.is_empty() {
        text.push_str(&format!(" in {}", several(files.len(), "file")));
    }
    text
}
