//! Sides that an agent reads: what it tells, whom it tells it, and what a comparison makes of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tandem_measure::probe::{Probe, Target};

use crate::place::{Notes, Place, Said, ask, free, until};
use crate::schema;
use crate::sides::{SLOW, side, steady, words};

/// `tandem agent`, which ends with the test.
struct Agent {
    child: Child,
    address: SocketAddr,
    token: String,
}

impl Agent {
    /// With these words in `place`; its token is in `agent.token` there.
    fn start(place: &Place, words: &[&str]) -> Agent {
        let mut all = vec!["agent", "--ready-file", "agent.json", "--token-file", "agent.token"];
        all.extend(words);
        let said = std::fs::File::create(place.0.join("agent.err")).unwrap();
        let _ = std::fs::remove_file(place.0.join("agent.json"));
        let mut child = place.command(&all).stderr(said).spawn().unwrap();
        let ready = until(Duration::from_secs(30), || {
            assert!(child.try_wait().unwrap().is_none(), "{}", place.read("agent.err"));
            let text = std::fs::read_to_string(place.0.join("agent.json")).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        });
        let ready = ready.unwrap_or_else(|| panic!("no agent: {}", place.read("agent.err")));
        let address = ready["agent"].as_str().unwrap().parse().unwrap();
        Agent { child, address, token: place.read("agent.token").trim().to_owned() }
    }

    /// Of this process, under no name.
    fn of_this_process(place: &Place) -> Agent {
        Agent::start(place, &["--target", &format!("pid:{}", std::process::id())])
    }

    /// `NAME=agent:…@ADDRESS`.
    fn side(&self, name: &str, address: SocketAddr) -> String {
        format!("{name}=agent:{}@{address}", self.address)
    }

    fn ask_with(&self, token: &str, body: &str) -> (u16, Value) {
        let line = format!("POST /v1/read HTTP/1.1\r\nauthorization: Bearer {token}");
        let (status, body) = ask(self.address, &line, body).unwrap();
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn ask(&self, body: &Value) -> Value {
        let (status, told) = self.ask_with(&self.token, &body.to_string());
        assert_eq!(status, 200, "{told}");
        told
    }

    fn signal(mut self, name: &str) -> Option<i32> {
        Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that computes for a while each time it is given a line, and says when it is done.
struct Busy {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Busy {
    fn start() -> Busy {
        const SCRIPT: &str = "while read line; do i=0; \
                              while [ $i -lt 400000 ]; do i=$((i+1)); done; echo done; done";
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Busy { child, said }
    }

    fn compute(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of `blocks.csv` by its column.
fn column(place: &Place, name: &str) -> Vec<String> {
    let text = place.read("out/blocks.csv");
    let mut lines = text.lines();
    let at = lines.next().unwrap().split(',').position(|column| column == name).unwrap();
    lines.map(|line| line.split(',').nth(at).unwrap().to_owned()).collect()
}

#[test]
fn compare_a_1_an_agent_reads_as_much_cpu_as_a_probe_on_its_machine() {
    let place = Place::new();
    let mut busy = Busy::start();
    let pid = busy.child.id();
    let agent = Agent::start(&place, &["--target", &format!("it=pid:{pid}")]);
    let mut here = Probe::open(vec![Target::Pid(pid)]).unwrap();
    let asked = |more: Value| {
        let mut asked = json!({ "proto": 1, "target": "it" });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        agent.ask(&asked)
    };
    let (before, began) = (here.read(), asked(json!({ "find": true, "begins": true })));
    busy.compute();
    let more =
        json!({ "ends": began["mark"], "memory": true, "scheduling": true, "parallelism": true });
    let ended = asked(more);
    let used = here.read().since(&before).cpu.unwrap().as_secs_f64();
    let of = |name: &str| {
        let [before, now] = [&began, &ended].map(|told| told[name].as_u64().unwrap());
        (now - before) as f64 / 1e9
    };
    let told = of("cpu_ns");
    assert!(used > 0.05, "it hardly computed: {used}");
    assert!((told - used).abs() < 0.02 * used + 0.002, "{told} s by the agent, {used} s here");
    // The time is the agent's, and holds the CPU of one thread.
    assert!(of("at_ns") >= told, "{began} {ended}");
    assert_eq!(began["agent"], ended["agent"]);
    assert!(ended["peak_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000), "{ended}");
    assert!(ended["memory"]["anonymous_bytes"].as_u64().is_some(), "{ended}");
    assert!(ended["scheduling"]["switches_voluntary"].as_u64().is_some(), "{ended}");
    assert_eq!(ended["parallelism"]["threads"], 1);
    assert_eq!(ended["sources"]["cpu"], "process clock");
    assert_eq!(ended["stolen_halves"].as_array().map(Vec::len), Some(2), "{ended}");
    assert!(of("own_cpu_ns") < used, "looking costs more than what is looked at");
    assert!(began["machine"]["cores"].as_u64().is_some_and(|cores| cores > 0), "{began}");
}

#[test]
fn security_ad_5_an_agent_tells_nothing_without_its_token() {
    let place = Place::new();
    let agent = Agent::of_this_process(&place);
    let right = json!({ "proto": 1, "target": "any" }).to_string();
    let check = |token: &str, body: &str, status: u16, problem: &str| {
        let (found, told) = agent.ask_with(token, body);
        assert_eq!((found, told["problem"].as_str()), (status, Some(problem)), "{body}: {told}");
        assert_eq!(told["proto"], 1);
        assert!(told["cpu_ns"].is_null());
    };
    let token = agent.token.clone();
    assert_eq!(agent.ask_with(&token, &right).0, 200);
    check(&token, "{}", 400, "malformed");
    check(&token, "[]", 400, "malformed");
    check(&token, &json!({ "proto": 2, "new": true }).to_string(), 409, "proto");
    check(&token, &json!({ "proto": 1, "target": "x", "new": 1 }).to_string(), 400, "malformed");
    check(&token, &format!("{right}{}", " ".repeat(20_000)), 400, "malformed");
    let bare = |line: &str, body: &str| ask(agent.address, line, body).unwrap();
    assert_eq!(bare("POST /v1/read HTTP/1.1", &right).0, 401);
    assert_eq!(bare("GET /healthz HTTP/1.1", ""), (200, "ok\n".to_owned()));
    assert_eq!(bare("GET /v1/read HTTP/1.1", "").0, 404);
    let page = format!(
        "POST /v1/read HTTP/1.1\r\nauthorization: Bearer {token}\r\norigin: http://{}",
        agent.address
    );
    assert_eq!(bare(&page, &right).0, 403);
    for _ in 0..10 {
        check(&format!("{token}0"), &right, 401, "token");
    }
    // Ten in a minute are the most, and then the right one is not tried either.
    check(&token, &right, 429, "attempts");
}

#[test]
fn an_agent_that_others_reach_has_a_token_of_somebodys_choice_and_says_what_it_is_not() {
    let place = Place::new();
    let target = format!("pid:{}", std::process::id());
    let said = place.tandem(&["agent", "--target", &target, "--listen", "192.0.2.1:0"]);
    assert!(said.exit == 2 && said.err.contains("--token-file"), "{said:?}");
    assert!(!place.0.join("data").exists(), "nothing is made");
    let open = Agent::start(&place, &["--target", &target, "--listen", "0.0.0.0:0"]);
    let said = place.read("agent.err");
    assert!(said.contains("is not encrypted") && said.contains("ssh -N -L"), "{said}");
    assert!(!said.contains(&open.token), "{said}");
    assert_eq!(open.signal("-INT"), Some(130));
    let here = Agent::start(&place, &["--target", &target]);
    assert!(!place.read("agent.err").contains("encrypted"));
    assert_eq!(here.signal("-TERM"), Some(0));
}

#[test]
fn targets_of_an_agent_have_names_where_there_are_several_and_start_nothing() {
    let place = Place::new();
    let this = format!("pid:{}", std::process::id());
    let check = |targets: &[&str], exit: i32, word: &str| {
        let mut words = vec!["agent"];
        words.extend(targets.iter().flat_map(|target| ["--target", target]));
        let said = place.tandem(&words);
        assert!(said.exit == exit && said.err.contains(word), "{targets:?}: {said:?}");
    };
    check(&[], 2, "--target");
    check(&["exec:./svc"], 2, "starts nothing");
    check(&["agent:h:1"], 2, "its own machine only");
    check(&["cpu:1"], 2, "is no target");
    check(&["a=pid:1", &this], 2, "has no name");
    check(&["pid:4194304"], 1, "no such process");
    let unit = "later=unit:no-such-unit-of-ours";
    let agent = Agent::start(&place, &["--target", &format!("it={this}"), "--target", unit]);
    assert!(place.read("agent.err").contains("names nothing that runs here"));
    let look = |name: &str, find: bool| {
        let asked = json!({ "proto": 1, "target": name, "find": find });
        agent.ask_with(&agent.token, &asked.to_string())
    };
    assert_eq!(look("it", true).0, 200);
    assert_eq!(look("its", true).1["problem"], "unknown");
    assert_eq!(look("later", true).1["problem"], "not_found");
    // Not there is a reading: nothing is known of it, which is no zero.
    let (status, told) = look("later", false);
    assert!(status == 200 && told["cpu_ns"].is_null() && told["missing"] == 1, "{told}");
}

/// `compare` of two services of this process, the first of which `agent` reads.
fn through(place: &Place, agent: &Agent, more: &[&str]) -> Said {
    let (one, other) = (steady(Duration::ZERO), steady(Duration::ZERO));
    let (one, other) = (agent.side("far", one.address), side("near", other.address));
    let mut all = vec!["--agent-token-file", "agent.token", "--out", "out"];
    all.extend(more);
    place.tandem(&words(&one, &other, &all))
}

#[test]
fn compare_a_3_a_block_of_a_side_elsewhere_has_its_cpu_and_the_peak_of_its_memory() {
    let place = Place::new();
    let agent = Agent::of_this_process(&place);
    let said = through(&place, &agent, &[]);
    assert!(![1, 2, 6, 7].contains(&said.exit), "{said:?}");
    let result: Value = serde_json::from_str(&place.read("out/result.json")).unwrap();
    schema::keeps(&result);
    let source = result["run"]["machine"]["sources"]["cpu"].as_str().unwrap();
    assert!(source.starts_with("agent, process clock"), "{source}");
    assert!(said.err.contains("`far` is read by an agent, on this machine"), "{said:?}");
    for name in ["cpu_s", "memory_bytes"] {
        let values = column(&place, name);
        assert!(!values.is_empty(), "{said:?}");
        let above = |text: &String| text.parse::<f64>().is_ok_and(|value| value > 0.0);
        assert!(values.iter().all(above), "{name}: {values:?}");
    }
}

#[test]
fn an_agent_that_dies_ends_no_run_and_leaves_cpu_unknown() {
    let place = Place::new();
    let agent = Agent::of_this_process(&place);
    let (one, other) = (steady(Duration::ZERO), steady(Duration::ZERO));
    let (one, other) = (agent.side("far", one.address), side("near", other.address));
    let more = ["--agent-token-file=agent.token", "--out=out", "--quartets=8"];
    let words = words(&one, &other, &more);
    let (out, err) = (place.0.join("out.txt"), place.0.join("err.txt"));
    let mut child = place
        .command(&words)
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    // Answers are compared: the first quartet is about to be sent.
    let begun =
        until(Duration::from_secs(120), || place.read("err.txt").contains("answers").then_some(()));
    assert!(begun.is_some(), "{}", place.read("err.txt"));
    drop(agent);
    let exit = child.wait().unwrap().code();
    let said = place.read("err.txt");
    assert!(matches!(exit, Some(0 | 3 | 4 | 5 | 8)), "{exit:?}: {said}");
    assert!(said.contains("the agent of `far` at") && said.contains("was lost"), "{said}");
    let result: Value = serde_json::from_str(&place.read("out/result.json")).unwrap();
    schema::keeps(&result);
    let notes = result["run"]["notes"].to_string();
    assert!(notes.contains("is unknown from then on"), "{notes}");
    let cpu = column(&place, "cpu_s");
    assert!(cpu.iter().any(String::is_empty), "{cpu:?}");
    let mut known = cpu.iter().filter(|text| !text.is_empty());
    assert!(known.all(|text| text.parse::<f64>().is_ok_and(|cpu| cpu > 0.0)), "{cpu:?}");
    let metrics = result["metrics"].as_array().unwrap();
    let judged = metrics.iter().find(|metric| metric["id"] == "cpu");
    assert!(judged.is_none_or(|cpu| cpu["cell"] == "unknown"), "{judged:?}");
}

/// An agent on another machine, far away: each reading is 7 ms of CPU and 350 ms of its own time
/// after the one before, and comes 30 ms late. Its host took this part of every block.
fn far_away(stolen: f64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut count, mut machine) = (0, json!({ "boot": "another", "cores": 7, "cpu": "Fast" }));
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Some(body) = request(&mut stream) {
                let asked: Value = serde_json::from_slice(&body).unwrap();
                count += 1;
                std::thread::park_timeout(Duration::from_millis(30));
                let told = json!({
                    "proto": 1, "agent": "one", "at_ns": count * 350_000_000_u64,
                    "cpu_ns": count * 7_000_000_u64, "own_cpu_ns": 0, "processes": 1,
                    "host": { "busy_ns": count * 7_000_000_u64, "stolen_ns": 0, "all_ns": 1 },
                    "mark": asked["begins"].as_bool().filter(|begins| *begins).map(|_| count),
                    "peak_bytes": asked["ends"].as_u64().map(|_| 5_000_000),
                    "stolen_halves": asked["ends"].as_u64().map(|_| [0.0, stolen]),
                    "sources": { "cpu": "cgroup v2 cpu.stat", "memory": "RssAnon", "peak": "x" },
                    "machine": machine.take(),
                });
                let text = told.to_string();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
                if stream.write_all((head + &text).as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    address
}

/// The body of the next request; `None` where there is none.
fn request(stream: &mut std::net::TcpStream) -> Option<Vec<u8>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

#[test]
fn compare_a_1_intervals_are_the_agents_own_and_steal_there_voids_blocks_here() {
    let place = Place::with(&[("agent.token", &format!("tnd_{}", "0".repeat(72)))]);
    let run = |stolen: f64| {
        let (one, other) = (steady(Duration::ZERO), steady(Duration::ZERO));
        let far = format!("far=agent:{}@{}", far_away(stolen), one.address);
        let near = side("near", other.address);
        let more = ["--agent-token-file=agent.token", "--out=out"];
        let said = place.tandem(&words(&far, &near, &more));
        assert!(![1, 2, 6, 7].contains(&said.exit), "{said:?}");
        assert!(said.err.contains("on another machine: Fast, 7 cores"), "{said:?}");
        let result: Value = serde_json::from_str(&place.read("out/result.json")).unwrap();
        let sources = result["run"]["machine"]["sources"]["cpu"].to_string();
        assert!(
            sources.contains("agent, cgroup v2 cpu.stat; candidate process clock"),
            "{sources}"
        );
        let text = place.read("out/series.csv");
        let rows: Vec<Vec<String>> =
            text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
        let at = |name: &str| rows[0].iter().position(|column| column == name).unwrap();
        let (side, cpu, idle) = (at("side"), at("cpu_s"), at("idle_cpu_s"));
        let (peak, void) = (at("peak_bytes"), at("void"));
        assert!(rows.len() > 4, "{text}");
        for row in &rows[1..] {
            let number = |column: usize| row[column].parse::<f64>().unwrap();
            match &*row[side] {
                "primary" => {
                    assert!((number(cpu) - 0.007).abs() < 1e-9, "{row:?}");
                    assert_eq!(row[peak], "5000000");
                }
                // Idle for 350 ms, of which a block has 100.
                _ => assert!((number(idle) - 0.002).abs() < 1e-9, "{row:?}"),
            }
        }
        let primary = rows.iter().filter(|row| row[side] == "primary");
        primary.map(|row| row[void].clone()).collect::<Vec<_>>()
    };
    // More than two in a hundred in either half: whatever else there was, it does not count.
    let voids = run(0.021);
    assert!(voids.iter().all(|void| !void.is_empty()), "{voids:?}");
    // This machine's own host may take something as well, hardly of every block.
    let voids = run(0.02);
    assert!(voids.iter().any(|void| void != "the host took time away"), "{voids:?}");
}

/// Answers one request with this, as an agent that is none, or another; never, without text.
fn stranger(answer: Option<&str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = answer
        .map(|body| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head);
        if let Some(answer) = answer {
            let _ = stream.write_all(answer.as_bytes());
        }
        // Until the other side has had enough.
        while stream.read(&mut head).is_ok_and(|count| count > 0) {}
    });
    address
}

#[test]
fn compare_c_5_an_agent_that_is_not_there_is_6_one_that_refuses_7_and_another_version_1() {
    let place = Place::new();
    let this = format!("it=pid:{}", std::process::id());
    let agent = Agent::start(&place, &["--target", &this]);
    place.write("wrong.token", &format!("tnd_{}\n", "0".repeat(72)));
    place.write("no.token", "something else\n");
    let service: Notes = steady(SLOW);
    let check = |name: &str, at: SocketAddr, token: &str, exit: i32, word: &str| {
        let far = format!("{name}=agent:{at}@{}", service.address);
        let other = side("other", service.address);
        let began = Instant::now();
        let said = place.tandem(&words(&far, &other, &["--agent-token-file", token]));
        assert!(said.exit == exit && said.err.contains(word), "{name} {token}: {said:?}");
        assert!(!said.err.contains("tnd_"), "{said:?}");
        assert!(began.elapsed() < Duration::from_secs(60), "it hangs");
    };
    check("it", free(), "agent.token", 6, "TND0301");
    check("it", stranger(None), "agent.token", 6, "no answer within 3 s");
    check("it", stranger(Some("hello")), "agent.token", 6, "is no agent");
    check("it", stranger(Some("{\"proto\":2}")), "agent.token", 1, "TND0606");
    check("it", agent.address, "wrong.token", 7, "TND0401");
    check("its", agent.address, "agent.token", 7, "no target `its`; it has it");
    check("it", agent.address, "no.token", 2, "holds no token");
    check("it", agent.address, "nowhere", 2, "TND0105");
    let far = agent.side("it", service.address);
    let other = side("other", service.address);
    let said = place.tandem(&words(&far, &other, &[]));
    assert!(said.exit == 2 && said.err.contains("wants its token"), "{said:?}");
    let remote = format!("it=agent:192.0.2.1:9190@{}", service.address);
    let said = place.tandem(&words(&remote, &other, &["--agent-token-file=agent.token"]));
    assert!(said.exit == 2 && said.err.contains("TND0605"), "{said:?}");
}
