//! Long runs on real services, with `TANDEM_LONG=1` on a quiet machine: one binary against itself,
//! and one with a burden beside it (compare T-4, T-5).

use std::path::{Path, PathBuf};

use crate::place::Place;

/// The catalogue in Rust, where the long tests are wanted and it was built.
fn catalogue() -> Option<PathBuf> {
    std::env::var_os("TANDEM_LONG")?;
    let folder = PathBuf::from(std::env::var_os("TANDEM_CASES_RUST")?);
    Some(folder.join("catalogue"))
}

fn side(name: &str, program: &Path, before: &str) -> String {
    let program = program.display();
    format!(
        "{name}=exec:{before}{program} --listen 127.0.0.1:{{port}} --admin 127.0.0.1:0 --data \
         {{folder}} --rest 127.0.0.1:{{port:rest}}"
    )
}

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../cases/catalogue");

#[test]
fn compare_t_5_ten_runs_of_one_binary_against_itself_find_no_difference() {
    let Some(program) = catalogue() else {
        println!("skipped: TANDEM_LONG and TANDEM_CASES_RUST are not set");
        return;
    };
    let place = Place::new();
    let (one, other) = (side("one", &program, ""), side("other", &program, ""));
    let (plan, fill) = (format!("plan:{CASES}/load.yaml"), format!("{CASES}/fill.sh"));
    let (mut found, mut valid, mut rows_seen) = (Vec::new(), 0, 0);
    for seed in 1..=10 {
        let seed = seed.to_string();
        let words = ["compare", "Catalogue/GetProduct", "--primary", &one, "--candidate", &other];
        let more = ["--quick", "--block=500ms", "--rate=300", "--seed", &seed, "--json"];
        let data = ["--data", &plan, "--stateful", &fill];
        let result = place.tandem(&[&words[..], &more, &data].concat()).json();
        let rows = result["metrics"].as_array().unwrap().clone();
        println!("seed {seed}: {} {}", result["verdict"]["word"], result["validity"]);
        valid += u32::from(result["verdict"]["word"] != "invalid");
        rows_seen += rows.len();
        let is_found = |cell: &serde_json::Value| cell == "better" || cell == "worse";
        let rows = rows.iter().filter(|row| is_found(&row["cell"]));
        found.extend(rows.map(|row| format!("seed {seed}: {} {}", row["id"], row["ratio"])));
    }
    // Sixty rows at 5 %, most of which the floor and the headline's correction hold back.
    println!("{valid} of 10 runs valid, {rows_seen} rows, called different: {found:?}");
    assert!(found.len() <= 3, "{found:?}");
    assert!(valid >= 8, "a run that measured nothing shows nothing: {valid} of 10 did");
}

#[test]
fn compare_t_5_ten_percent_more_cpu_in_one_side_is_found_within_thirty_quartets() {
    let Some(program) = catalogue() else {
        println!("skipped: TANDEM_LONG and TANDEM_CASES_RUST are not set");
        return;
    };
    let place = Place::new();
    let one = side("one", &program, "");
    // The burden is a child of the side, so its CPU is the side's: a tenth of what the side uses
    // at this rate, in proportion to nothing else. It looks seldom: looking is what it uses idle,
    // and that is taken off.
    let burden = "import os,sys,time,threading\n\
                  service=int(sys.argv[1])\n\
                  ticks=os.sysconf('SC_CLK_TCK')\n\
                  def used():\n    \
                      fields=open(f'/proc/{service}/stat').read().rsplit(')',1)[1].split()\n    \
                      return (int(fields[11])+int(fields[12]))/ticks\n\
                  begun=used(); spun=0\n\
                  while True:\n    \
                      due=0.1*(used()-begun)-spun\n    \
                      until=time.process_time()+due\n    \
                      while time.process_time()<until: pass\n    \
                      spun+=max(due,0)\n    \
                      time.sleep(0.02)\n";
    place.write("side.sh", "python3 \"$0.py\" $$ &\nexec \"$@\"\n");
    place.write("side.sh.py", burden);
    let script = format!("sh {} ", place.0.join("side.sh").display());
    let other = side("burdened", &program, &script);
    let (plan, fill) = (format!("plan:{CASES}/load.yaml"), format!("{CASES}/fill.sh"));
    let words = ["compare", "Catalogue/GetProduct", "--primary", &one, "--candidate", &other];
    let more = ["--rate=1000", "--quartets=30", "--block=500ms", "--seed=5", "--json"];
    let data = ["--data", &plan, "--stateful", &fill];
    let result = place.tandem(&[&words[..], &more, &data].concat()).json();
    let rows = result["metrics"].as_array().unwrap().clone();
    let cpu = rows.iter().find(|row| row["id"] == "cpu").unwrap();
    println!("cpu of the burdened side {} {}, {}", cpu["ratio"], cpu["interval"], cpu["cell"]);
    assert_eq!(cpu["cell"], "worse", "{cpu}");
    let ratio = cpu["ratio"].as_f64().unwrap();
    assert!((1.05..1.2).contains(&ratio), "{cpu}");
}
