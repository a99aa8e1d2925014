//! Prints the rubric of one implementation: `./x cases rubric` for those of the cases.
//!
//! `rubric NAME FOLDER [--rows] [--builds N] [--tests N] [--starts N] [--build WORD]…
//! [--scratch DIR] [--service NAME] [--call METHOD] [--rustsec DIR] [--govulndb DIR]
//! [-- ARGUMENTS of the program]`

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::path::PathBuf;
use std::process::ExitCode;

use tandem_measure::rubric::{self, NOT_RUN, Options, Row, Source, Sources, Start};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let mut words = std::env::args().skip(1);
    let mut next = |what: &str| words.next().ok_or_else(|| format!("{what} is missing"));
    let mut source =
        Source { role: next("a name")?, folder: next("a folder")?.into(), ..Source::default() };
    let mut options = Options::default();
    let mut start = Start::default();
    while let Some(word) = words.next() {
        if word == "--" {
            start.arguments = words.by_ref().collect();
            break;
        }
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        let count = || value.parse::<u32>().map_err(|_| format!("{value} is no number"));
        match word.as_str() {
            "--rows" => {
                let wanted: Vec<&str> = value.split(',').collect();
                options.rows =
                    Row::ALL.into_iter().filter(|row| wanted.contains(&row.number())).collect();
            }
            "--builds" => options.builds = count()?,
            "--tests" => options.tests = count()?,
            "--starts" => options.starts = count()?,
            "--scratch" => options.scratch = PathBuf::from(value),
            "--rustsec" => options.rustsec = Some(value.into()),
            "--govulndb" => options.govulndb = Some(value.into()),
            "--build" => source.build.push(value),
            "--service" => start.service = value,
            "--call" => start.call = Some((value, Vec::new())),
            other => return Err(format!("unknown word {other}")),
        }
    }
    if !start.arguments.is_empty() {
        source.start = Some(start);
    }
    let findings =
        rubric::run(&Sources { sides: vec![source] }, &options, |what| eprintln!("  {what}"));
    println!("| row | value | command | beside it |\n|---|---|---|---|");
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    for row in &findings.rows {
        let value = if row.value == NOT_RUN { "not run" } else { &row.value };
        let command = if row.command.is_empty() {
            String::new()
        } else {
            format!("`{}`", cell(&row.command))
        };
        println!("| {} | {} | {command} | {} |", row.row, cell(value), cell(&row.note));
    }
    Ok(())
}
