//! A gateway that is killed while versions are made: nothing acknowledged is lost, nothing is half
//! applied (security S-1).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::place::until;
use crate::teams::{Team, document};

/// The text of each version that was acknowledged, by its number.
type Acknowledged = Arc<Mutex<Vec<(u64, String)>>>;

/// Publishes one version after another until told to stop or the gateway is gone.
fn publish(
    admin: SocketAddr,
    token: &str,
    service: SocketAddr,
    mut from: u64,
    stop: &AtomicBool,
    acknowledged: &Acknowledged,
) {
    while !stop.load(Ordering::Relaxed) {
        let text = document(service, &format!("{}ms", 1_000 + from));
        let body = json!({ "text": text, "why": format!("after {from}") }).to_string();
        let request = format!(
            "POST /api/v1/namespaces/notes/publish HTTP/1.1\r\nhost: {admin}\r\n\
             authorization: Bearer {token}\r\nif-match: \"{from}\"\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let answered = TcpStream::connect(admin).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        // Killed before or in the answer: it may stand or not.
        let Ok(answer) = answered else { return };
        if !answer.starts_with("HTTP/1.1 200") {
            assert!(!answer.starts_with("HTTP/1.1 4"), "{answer}");
            return;
        }
        from += 1;
        acknowledged.lock().unwrap().push((from, text));
    }
}

/// Numbers from a seed (xorshift64*, Vigna 2016).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % most
    }
}

#[test]
fn security_s_1_no_acknowledged_version_is_lost_and_none_is_half_there_when_the_gateway_is_killed()
{
    let kills = if std::env::var_os("TANDEM_LONG").is_some() { 200 } else { 6 };
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    println!("seed {seed}, {kills} kills");
    let mut numbers = Numbers(seed);
    let mut team = Team::start();
    let acknowledged = Acknowledged::default();
    let mut live = 1;
    for kill in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (admin, token) = (team.running.admin, team.operator());
            let (service, stop) = (team.service.address, Arc::clone(&stop));
            let acknowledged = Arc::clone(&acknowledged);
            std::thread::spawn(move || {
                publish(admin, &token, service, live, &stop, &acknowledged);
            })
        };
        // Anywhere in one of several versions, however slow this machine is now.
        let known = || acknowledged.lock().unwrap().len();
        let wanted = known() + numbers.below(3) as usize;
        assert!(until(Duration::from_secs(60), || (known() >= wanted).then_some(())).is_some());
        std::thread::park_timeout(Duration::from_micros(numbers.below(100_000)));
        team = team.killed_and_started();
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();

        let shown = team.tandem(&["ns", "show", "notes", "--json"]).json();
        let now = shown["version"].as_u64().unwrap();
        let last = acknowledged.lock().unwrap().last().map_or(1, |(number, _)| *number);
        // The one under way may have come through, acknowledged or not.
        let least = last.max(live);
        let good = now == least || now == least + 1;
        assert!(good, "kill {kill}: {last} acknowledged, {live} live before, {now} now");
        let text = team.tandem(&["show", "notes"]).out;
        match acknowledged.lock().unwrap().iter().find(|(number, _)| *number == now) {
            Some((_, expected)) => assert_eq!(text, *expected, "kill {kill}, version {now}"),
            None if now == 1 => {}
            None => assert_eq!(
                text,
                document(team.service.address, &format!("{}ms", 1_000 + now - 1)),
                "kill {kill}, version {now}"
            ),
        }
        live = now;
    }
    let known = acknowledged.lock().unwrap().clone();
    println!("{} versions acknowledged, {live} live", known.len());
    assert!(known.len() > kills / 3, "the kills came between versions");
    for (number, expected) in known.iter().rev().take(50) {
        let text = team.tandem(&["show", &format!("notes@{number}")]).out;
        assert_eq!(text, *expected, "version {number}");
    }
    let verified = team.tandem(&["audit", "verify", "notes"]);
    assert!(
        verified.exit == 0 && verified.out.starts_with(&format!("{live} entries hold")),
        "{verified:?}"
    );
    let Team { running, place, service: _service } = team;
    running.signal("-TERM");
    let checked = place.tandem(&["store", "check", "data/store"]);
    assert_eq!(checked.out, "everything holds together\n", "{checked:?}");
}
