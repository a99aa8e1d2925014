//! Answers that each caller has for himself (security C-1): by keys, through sockets.

use tandem_gateway::{ApiKey, ApiKeys, CacheUse};
use tandem_testkit::backend::{Backend, Script};

use super::{counted, header, kept, read};

const KEYS: [&str; 2] = ["tnk_ann_0123456789abcdef", "tnk_bob_0123456789abcdef"];

fn keys() -> ApiKeys {
    let one = |key: &str| {
        let id = key.split('_').nth(1).expect("an id").to_owned();
        let known = ApiKey {
            digest: ApiKeys::digest(key),
            name: id.clone(),
            namespace: "notes".into(),
            scopes: Vec::new(),
            expires: None,
        };
        (id, known)
    };
    KEYS.iter().map(|key| one(key)).collect()
}

fn note(text: &str) -> Script {
    let mut message = vec![0x0a, text.len() as u8];
    message.extend_from_slice(text.as_bytes());
    Script::message(message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn security_c_1_each_principal_has_answers_of_his_own_and_the_service_knows_whose() {
    let backend = Backend::start(vec![note("ann's")]);
    let setup = kept(&backend, "ttl: 60s, per: principal");
    let gateway =
        setup.callers("api_keys: {}").api_keys(keys()).auth("{ api_key: true }").start().await;
    let as_who = |who: usize| format!("x-api-key: {}", KEYS[who]);
    let ann = read(&gateway, "a", &[&as_who(0)]).await;
    assert!(ann.body.contains("ann's"), "{}", ann.head);
    backend.set(vec![note("bob's")]);
    // The same question by somebody else is another one.
    let bob = read(&gateway, "a", &[&as_who(1)]).await;
    assert!(bob.body.contains("bob's"), "{}", bob.head);
    backend.set(vec![note("nobody's")]);
    for (who, expected) in [(0, "ann's"), (1, "bob's")] {
        let again = read(&gateway, "a", &[&as_who(who)]).await;
        assert!(again.body.contains(expected), "{expected}: {}", again.body);
        assert_eq!(header(&again, "age"), "0");
    }
    assert_eq!(counted(&gateway, CacheUse::Hit), 2);
    let reached = backend.reached();
    assert_eq!(reached.len(), 2);
    let named: Vec<String> = reached
        .iter()
        .map(|one| one.headers["x-tandem-principal"].to_str().unwrap().to_owned())
        .collect();
    assert_ne!(named[0], named[1]);
    assert!(reached.iter().all(|one| !one.headers.contains_key("x-api-key")));
    // Without a key nobody is given anything.
    assert_eq!(read(&gateway, "a", &[]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn security_c_1_an_answer_to_somebody_who_is_known_is_not_kept_for_all() {
    let backend = Backend::start(vec![note("one")]);
    let setup = kept(&backend, "ttl: 60s").callers("api_keys: {}").api_keys(keys());
    let gateway = setup.auth("{ api_key: true }").start().await;
    for _ in 0..2 {
        read(&gateway, "a", &[&format!("x-api-key: {}", KEYS[0])]).await;
    }
    assert_eq!(counted(&gateway, CacheUse::Hit), 0);
    assert_eq!(backend.reached().len(), 2);
}
