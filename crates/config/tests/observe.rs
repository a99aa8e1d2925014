//! `observe` and `auth.debug`: what is read and what is refused.

use tandem_config::document::{Address, Share, Traces};
use tandem_config::load::from_texts;
use tandem_config::{Problem, Tnd};

fn traces(written: &str) -> Result<Option<Traces>, Vec<Problem>> {
    let platform = format!(
        "format: 1\nlisten: {{ public: {{ address: \"127.0.0.1:0\" }} }}\n\
         observe: {{ traces: {{ {written} }} }}\n"
    );
    from_texts(&platform, &[]).map(|loaded| loaded.platform.observe.traces)
}

#[test]
fn a_collector_is_a_url_and_one_in_a_hundred_traces_goes_there() {
    let dns = |host: &str, port| Address::Dns { host: host.into(), port };
    for (written, collector, per_mille) in [
        ("otlp: \"http://127.0.0.1:4317\"", Address::Fixed(([127, 0, 0, 1], 4317).into()), 10),
        ("otlp: \"http://otel:5000\", share: 100%", dns("otel", 5000), 1000),
        ("otlp: \"http://otel.example.com\", share: 0.1%", dns("otel.example.com", 4317), 1),
        ("otlp: \"http://otel/\", share: 0%", dns("otel", 4317), 0),
        ("otlp: \"http://[::1]:1\"", Address::Fixed("[::1]:1".parse().unwrap()), 10),
        ("otlp: \"http://[::1]\"", Address::Fixed("[::1]:4317".parse().unwrap()), 10),
    ] {
        let read = traces(written).unwrap_or_else(|problems| panic!("{written}: {problems:#?}"));
        let share = Share::from_per_mille(per_mille).unwrap();
        assert_eq!(read, Some(Traces { collector, tls: None, share }), "{written}");
    }
}

#[test]
fn what_is_no_collector_is_refused_with_its_remedy() {
    for (written, code) in [
        ("share: 1%", Tnd::MissingKey),
        ("tls: { ca: \"-----BEGIN\" }", Tnd::MissingKey),
        ("otlp: \"127.0.0.1:4317\"", Tnd::WrongType),
        ("otlp: \"grpc://127.0.0.1:4317\"", Tnd::WrongType),
        ("otlp: \"http://otel:4317/v1/traces\"", Tnd::WrongType),
        ("otlp: \"http://me:secret@otel:4317\"", Tnd::WrongType),
        ("otlp: \"http://otel:0\"", Tnd::WrongType),
        ("otlp: \"http://otel:4317\", share: 5", Tnd::WrongType),
        ("otlp: \"http://otel:4317\", shares: 5%", Tnd::UnknownKey),
        // Unverified TLS is none.
        ("otlp: \"https://otel:4317\"", Tnd::MissingKey),
        ("otlp: \"https://otel:4317\", tls: {}", Tnd::MissingKey),
    ] {
        let problems = traces(written).expect_err(written);
        assert_eq!(problems[0].code, code, "{written}: {problems:#?}");
        assert!(!problems[0].fix.is_empty(), "{written}");
    }
}

#[test]
fn debug_is_a_right_of_whoever_may_call() {
    let team = |auth: &str| {
        let team = format!(
            "namespace: shop\ncontract: {{ reflection: go }}\n\
             upstreams: {{ go: {{ address: 10.0.0.1:1 }} }}\ndefaults: {{ auth: {auth} }}\n\
             methods: {{ a.B/*: {{}} }}\n"
        );
        let platform = "format: 1\nlisten: { public: { address: \"127.0.0.1:0\" } }\n";
        from_texts(platform, &[("teams/shop.yaml", &team)])
            .map(|loaded| loaded.namespaces[0].0.defaults.auth.clone().unwrap().debug)
    };
    assert!(!team("{ public: true }").unwrap());
    assert!(!team("{ public: true, debug: false }").unwrap());
    assert!(team("{ public: true, debug: true }").unwrap());
    for (auth, code) in [
        ("{ debug: true }", Tnd::MissingKey),
        ("{ public: true, debug: yes }", Tnd::WrongType),
        ("{ public: true, debug: timing }", Tnd::WrongType),
    ] {
        assert_eq!(team(auth).unwrap_err()[0].code, code, "{auth}");
    }
}
