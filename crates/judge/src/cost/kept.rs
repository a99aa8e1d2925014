//! A series as text, so that what was concluded from it can be concluded again.
//!
//! One block a line: `quartet,restart,offered,side,seconds,calls,cpu_s,idle_cpu_s,peak_bytes,void,
//! latency_us`, where what could not be read is empty, and latency is a list of `value:count`.
//!
//! Not here: files (`tandem`).

use std::fmt::Write as _;

use super::{Block, Quartet, Side, Void};
use crate::stats::counts::Counts;

const HEAD: &str =
    "quartet,restart,offered,side,seconds,calls,cpu_s,idle_cpu_s,peak_bytes,void,latency_us";

/// The series as text. Allocations are not in it: nobody reads them yet.
pub fn series_to_text(quartets: &[Quartet]) -> String {
    let mut text = format!("{HEAD}\n");
    for (number, quartet) in quartets.iter().enumerate() {
        let Quartet { restart, offered, blocks } = quartet;
        for block in blocks {
            let Block {
                side,
                seconds,
                calls,
                cpu_s,
                idle_cpu_s,
                latency_us,
                peak_bytes,
                allocations: _,
                void,
            } = block;
            let side = match side {
                Side::Primary => "primary",
                Side::Candidate => "candidate",
            };
            let number_of = |value: &Option<f64>| value.map_or(String::new(), |it| it.to_string());
            let (cpu_s, idle_cpu_s) = (number_of(cpu_s), number_of(idle_cpu_s));
            let peak_bytes = peak_bytes.map_or(String::new(), |bytes| bytes.to_string());
            let void = void.map_or(String::new(), |void| void.to_string());
            _ = write!(
                text,
                "{number},{restart},{offered},{side},{seconds},{calls},{cpu_s},{idle_cpu_s},\
                 {peak_bytes},{void},"
            );
            for (place, (value, count)) in latency_us.pairs().iter().enumerate() {
                let between = if place > 0 { " " } else { "" };
                _ = write!(text, "{between}{value}:{count}");
            }
            text.push('\n');
        }
    }
    text
}

/// A series that [`series_to_text`] wrote.
///
/// # Errors
/// The number of the first line that is none of its lines.
pub fn series_of_text(text: &str) -> Result<Vec<Quartet>, usize> {
    let mut lines = text.lines().enumerate();
    if lines.next().map(|(_, line)| line) != Some(HEAD) {
        return Err(1);
    }
    let mut quartets: Vec<(&str, Quartet)> = Vec::new();
    for (place, line) in lines {
        let (number, restart, offered, block) = block_of(line).ok_or(place + 1)?;
        match quartets.last_mut() {
            Some((last, quartet)) if *last == number => quartet.blocks.push(block),
            _ => quartets.push((number, Quartet { restart, offered, blocks: vec![block] })),
        }
    }
    Ok(quartets.into_iter().map(|(_, quartet)| quartet).collect())
}

fn block_of(line: &str) -> Option<(&str, u32, f64, Block)> {
    let cells: Vec<&str> = line.split(',').collect();
    let [
        number,
        restart,
        offered,
        side,
        seconds,
        calls,
        cpu_s,
        idle_cpu_s,
        peak_bytes,
        void,
        latency_us,
    ] = cells[..]
    else {
        return None;
    };
    let side = match side {
        "primary" => Side::Primary,
        "candidate" => Side::Candidate,
        _ => return None,
    };
    let latency_us: Option<Vec<(u64, u64)>> = latency_us
        .split(' ')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (value, count) = pair.split_once(':')?;
            Some((value.parse().ok()?, count.parse().ok()?))
        })
        .collect();
    let void = match void {
        "" => None,
        text => Some(Void::ALL.into_iter().find(|void| void.to_string() == text)?),
    };
    let block = Block {
        side,
        seconds: number_of(seconds)??,
        calls: calls.parse().ok()?,
        cpu_s: number_of(cpu_s)?,
        idle_cpu_s: number_of(idle_cpu_s)?,
        latency_us: Counts::new(latency_us?),
        peak_bytes: match peak_bytes {
            "" => None,
            bytes => Some(bytes.parse().ok()?),
        },
        allocations: None,
        void,
    };
    Some((number, restart.parse().ok()?, number_of(offered)??, block))
}

/// `Some(None)` for an empty cell, `None` for one that is no number.
fn number_of(text: &str) -> Option<Option<f64>> {
    match text {
        "" => Some(None),
        text => text.parse().ok().filter(|value: &f64| value.is_finite()).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_comes_back_from_its_text_and_a_line_that_is_none_is_named() {
        let block = |side, void| Block {
            side,
            seconds: 0.500_1,
            calls: 3,
            cpu_s: Some(0.012_345_678),
            idle_cpu_s: None,
            latency_us: Counts::of([10, 10, 99_000]),
            peak_bytes: Some(12 << 20),
            allocations: None,
            void,
        };
        let quartet = |restart, void| Quartet {
            restart,
            offered: 500.0,
            blocks: vec![block(Side::Primary, None), block(Side::Candidate, void)],
        };
        let mut series = vec![quartet(0, None)];
        series.extend(Void::ALL.map(|void| quartet(1, Some(void))));
        series[0].blocks[0].latency_us = Counts::default();
        let text = series_to_text(&series);
        assert_eq!(series_of_text(&text), Ok(series));
        for (wrong, line) in [
            ("", 1),
            ("side\n", 1),
            (&*format!("{HEAD}\n0,0,500,primary,1,1,,,,,1:1\n0,0\n"), 3),
            (&*format!("{HEAD}\n0,0,500,twin,1,1,,,,,1:1\n"), 2),
            (&*format!("{HEAD}\n0,0,500,primary,NaN,1,,,,,1:1\n"), 2),
            (&*format!("{HEAD}\n0,0,500,primary,1,1,,,,tired,1:1\n"), 2),
            (&*format!("{HEAD}\n0,0,500,primary,1,1,,,,,1-1\n"), 2),
        ] {
            assert_eq!(series_of_text(wrong), Err(line), "{wrong}");
        }
        assert_eq!(series_of_text(&format!("{HEAD}\n")), Ok(Vec::new()));
    }
}
