//! Plots as SVG, drawn here.
//!
//! One frame for all: a coordinate system with ticks, in which lines, bands and dots are put. The
//! drawing is 360 wide, which is a telephone's width, so that its letters have their size there;
//! sides differ in colour and in dash, never in colour alone.

use std::fmt::Write as _;

use super::page::escape;

const LEFT: f64 = 52.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 34.0;

/// How values are laid along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    Linear,
    Log,
    /// 1/(1 − p): each nine as wide as the one before.
    Nines,
}

/// One axis: its ends, its ticks with their texts, its name.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) ticks: Vec<(f64, String)>,
    pub(super) name: String,
}

impl Axis {
    /// From 0 over all of `values`, with about four ticks.
    pub(super) fn from_zero(
        values: impl Iterator<Item = f64>,
        name: &str,
        text: impl Fn(f64) -> String,
    ) -> Axis {
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let most = if most > 0.0 { most * 1.05 } else { 1.0 };
        Axis::linear(0.0, most, name, text)
    }

    pub(super) fn linear(from: f64, to: f64, name: &str, text: impl Fn(f64) -> String) -> Axis {
        let step = step((to - from) / 4.0);
        let first = (from / step).ceil() as i64;
        let last = (to / step).floor() as i64;
        let ticks = (first..=last).take(9).map(|count| {
            let value = count as f64 * step;
            (value, text(value))
        });
        Axis { scale: Scale::Linear, from, to, ticks: ticks.collect(), name: name.to_owned() }
    }

    /// Over all of `values`, which are positive, a tick each power of ten and between.
    pub(super) fn log(
        values: impl Iterator<Item = f64> + Clone,
        name: &str,
        text: impl Fn(f64) -> String,
    ) -> Axis {
        let fine = values.filter(|value| value.is_finite() && *value > 0.0);
        let least = fine.clone().fold(f64::INFINITY, f64::min);
        let most = fine.fold(0.0, f64::max);
        let (from, to) = if most > 0.0 { (least / 1.15, most * 1.15) } else { (0.1, 1.0) };
        let decades = (to / from).log10();
        let parts: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let first = from.log10().floor() as i32;
        let powers = first..=first + decades.ceil() as i32 + 1;
        let ticks =
            powers.flat_map(|power| parts.iter().map(move |part| part * 10_f64.powi(power)));
        let ticks =
            ticks.filter(|value| (from..=to).contains(value)).map(|value| (value, text(value)));
        Axis { scale: Scale::Log, from, to, ticks: ticks.collect(), name: name.to_owned() }
    }

    /// Percentiles up to the farthest of `parts`.
    pub(super) fn nines(parts: impl Iterator<Item = f64>, name: &str) -> Axis {
        let most = parts.filter(|part| *part < 1.0).fold(0.9, f64::max);
        let names = [
            (0.0, "p0"),
            (0.5, "p50"),
            (0.9, "p90"),
            (0.99, "p99"),
            (0.999, "p99.9"),
            (0.9999, "p99.99"),
            (0.99999, "p99.999"),
        ];
        let ticks = names.iter().filter(|(part, _)| *part <= most + 1e-9);
        let ticks = ticks.map(|(part, name)| (*part, (*name).to_owned())).collect();
        Axis { scale: Scale::Nines, from: 0.0, to: most, ticks, name: name.to_owned() }
    }

    /// Where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let along = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(1e-12).ln(),
            Scale::Nines => -(1.0 - value.min(0.999_999_9)).ln(),
        };
        let (from, to) = (along(self.from), along(self.to));
        let place = (along(value) - from) / (to - from);
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// 1, 2 or 5 times a power of ten, near `wanted`.
fn step(wanted: f64) -> f64 {
    if !(wanted.is_finite() && wanted > 0.0) {
        return 1.0;
    }
    let power = 10_f64.powf(wanted.log10().floor());
    let factor = wanted / power;
    power
        * if factor < 1.5 {
            1.0
        } else if factor < 3.5 {
            2.0
        } else if factor < 7.5 {
            5.0
        } else {
            10.0
        }
}

/// A plot that is being drawn.
pub(super) struct Plot {
    across: Axis,
    up: Axis,
    width: f64,
    height: f64,
    marks: String,
}

impl Plot {
    pub(super) fn new(across: Axis, up: Axis) -> Plot {
        Plot { across, up, width: 360.0, height: 220.0, marks: String::new() }
    }

    /// Of another height, in the same units.
    pub(super) fn high(self, height: f64) -> Plot {
        Plot { height, ..self }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.across.place(value) * (self.width - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.height - BOTTOM - self.up.place(value) * (self.height - TOP - BOTTOM)
    }

    pub(super) fn line(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let path = self.path(points);
        _ = writeln!(self.marks, "<path class=\"{class} line\" d=\"{path}\"/>");
    }

    /// Between `low` and `high` at each x.
    pub(super) fn band(&mut self, class: &str, points: &[(f64, f64, f64)]) {
        let low = points.iter().map(|(x, low, _)| (*x, *low));
        let high = points.iter().rev().map(|(x, _, high)| (*x, *high));
        let path = self.path(low.chain(high));
        _ = writeln!(self.marks, "<path class=\"{class} band\" d=\"{path}Z\"/>");
    }

    pub(super) fn dot(&mut self, class: &str, x: f64, y: f64, title: &str) {
        let (x, y) = (self.x(x), self.y(y));
        _ = writeln!(
            self.marks,
            "<circle class=\"{class} dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{}</title></circle>",
            escape(title)
        );
    }

    /// A cross: what does not count.
    pub(super) fn cross(&mut self, x: f64, y: f64, title: &str) {
        let (x, y) = (self.x(x), self.y(y));
        _ = writeln!(
            self.marks,
            "<path class=\"bad\" d=\"M{:.1} {:.1}l6 6m0 -6l-6 6\"><title>{}</title></path>",
            x - 3.0,
            y - 3.0,
            escape(title)
        );
    }

    /// A line straight across at `y`.
    pub(super) fn level(&mut self, class: &str, y: f64) {
        let path = self.path([(self.across.from, y), (self.across.to, y)].into_iter());
        _ = writeln!(self.marks, "<path class=\"{class} thin\" d=\"{path}\"/>");
    }

    /// From bottom to top between two places.
    pub(super) fn span(&mut self, class: &str, from: f64, to: f64) {
        let (left, right) = (self.x(from), self.x(to));
        let (top, height) = (TOP, self.height - TOP - BOTTOM);
        let width = (right - left).max(1.0);
        _ = writeln!(
            self.marks,
            "<rect class=\"{class} band\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }

    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        for (place, (x, y)) in points.filter(|(x, y)| x.is_finite() && y.is_finite()).enumerate() {
            let letter = if place == 0 { 'M' } else { 'L' };
            _ = write!(path, "{letter}{:.1} {:.1}", self.x(x), self.y(y));
        }
        path
    }

    /// The drawing; `title` says what it shows, for who does not see it.
    pub(super) fn svg(self, title: &str) -> String {
        let (width, height) = (self.width, self.height);
        let title = escape(title);
        let mut text = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>\n"
        );
        let (left, right, bottom) = (LEFT, width - RIGHT, height - BOTTOM);
        for (value, name) in &self.up.ticks {
            let y = self.y(*value);
            _ = writeln!(
                text,
                "<path class=\"axis\" d=\"M{left} {y:.1}H{right}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 5.0,
                y + 4.0,
                escape(name)
            );
        }
        for (value, name) in &self.across.ticks {
            let x = self.x(*value);
            let anchor = if x > right - 16.0 { "end" } else { "middle" };
            _ = writeln!(
                text,
                "<path class=\"axis\" d=\"M{x:.1} {bottom}v4\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                bottom + 15.0,
                escape(name)
            );
        }
        _ = writeln!(
            text,
            "<path class=\"axis\" d=\"M{left} {bottom}H{right}\"/><text x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            height - 4.0,
            escape(&self.across.name)
        );
        text.push_str(&self.marks);
        text.push_str("</svg>\n");
        text
    }
}
