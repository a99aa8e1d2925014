//! What a run would do, in steps with their time (compare C-2).

use std::time::Duration;

use serde_json::json;

use super::ask::{Ask, Data, Offered};
use super::rubric;
use crate::output::Form;

/// One step and how long it takes, about.
#[derive(Clone)]
struct Step {
    what: String,
    time: Duration,
}

/// The steps of `ask`, as a person or a machine reads them.
pub(crate) fn text(ask: &Ask, form: Form) -> String {
    let steps = steps(ask);
    let whole: Duration = steps.iter().map(|step| step.time).sum();
    let seconds = |time: Duration| time.as_secs_f64().round();
    let over = whole > ask.budget;
    if form == Form::Json {
        let all: Vec<_> = steps
            .iter()
            .map(|step| json!({ "step": step.what, "seconds": seconds(step.time) }))
            .collect();
        let object = json!({
            "steps": all,
            "seconds": seconds(whole),
            "budget_s": ask.budget.as_secs_f64(),
            "over_budget": over,
            "seed": ask.seed.to_string(),
        });
        return object.to_string();
    }
    let mut text = String::new();
    for Step { what, time } in &steps {
        text.push_str(&format!("{:>6} s  {what}\n", seconds(*time)));
    }
    text.push_str(&format!(
        "{:>6} s  in all, of a budget of {} s{}; nothing was sent\n",
        seconds(whole),
        ask.budget.as_secs(),
        if over { ": it ends before the plan does" } else { "" },
    ));
    text
}

fn steps(ask: &Ask) -> Vec<Step> {
    let step = |what: String, seconds: f64| Step { what, time: Duration::from_secs_f64(seconds) };
    let block = ask.block.as_secs_f64();
    let [primary, candidate] = [&ask.sides[0].name, &ask.sides[1].name];
    let rates: Vec<String> = match &ask.offered {
        Offered::At(rates) => rates.iter().map(|rate| format!("{rate}/s")).collect(),
        Offered::OfCapacity => Vec::new(),
        Offered::Parts(parts) => {
            let percent =
                |part: &f64| format!("{:.0} % of the weaker side's capacity", part * 100.0);
            parts.iter().map(percent).collect()
        }
        Offered::OfRecord(speed) => vec![format!("the rate of the record × {speed}")],
    };
    let data = match &ask.data {
        Data::Schema => "values made from the contract".to_owned(),
        Data::Plan(file) | Data::Corpus(file) => format!("calls of {}", file.display()),
    };
    let mut all = vec![
        step(format!("start or find {primary} and {candidate}; are their contracts the same"), 2.0),
        step(format!("the generator alone, against a server that does nothing; {data}"), 4.0),
    ];
    let capacity = ask.objective.as_ref().map(|objective| {
        let from = ask.start;
        step(
            format!("capacity: from {from}/s the highest rate that keeps {}", objective.text),
            600.0,
        )
    });
    // Rates that are parts of it have to wait for it.
    let is_first = matches!(ask.offered, Offered::Parts(_));
    all.extend(capacity.as_ref().filter(|_| is_first).cloned());
    if !rates.is_empty() && ask.quartets >= 12 {
        let quartets = 12.0;
        let who = match ask.sides[0].is_started() {
            true => format!("two processes of {primary}"),
            false => format!("{primary} against itself"),
        };
        all.push(step(
            format!("noise floor: {who}, {quartets} quartets of 4 × {block} s"),
            block * (4.0 * quartets + 6.0),
        ));
    }
    all.push(step(
        format!("answers: 200 calls of each of {} methods to all sides at once", ask.methods.len()),
        2.0,
    ));
    for rate in &rates {
        let quartets = f64::from(ask.quartets);
        all.push(step(
            format!("at {rate}: warm-up, {quartets} quartets of 4 × {block} s, answers compared"),
            block * (4.0 * quartets + 10.0),
        ));
    }
    all.extend(capacity.filter(|_| !is_first));
    if !ask.quick {
        all.push(step("memory a minute after the last call".to_owned(), 60.0));
    }
    all.push(step(
        "pauses: a probe a millisecond on each side".to_owned(),
        match ask.quick {
            true => 10.0,
            false => 40.0,
        },
    ));
    if ask.rubric.is_some() {
        all.push(step(rubric::planned(ask.quick), rubric::time(ask.quick).as_secs_f64()));
    }
    all
}
