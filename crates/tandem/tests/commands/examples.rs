//! The files of `docs/examples` are good, alone and beside the contracts that they are for.

use crate::place::Place;

/// The examples as they lie in the repository, in a place of their own.
fn examples() -> Place {
    let place = Place::new();
    let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    for name in ["tandem.yaml", "teams/shop.yaml", "teams/shop-rust.yaml", "teams/search.yaml"] {
        place.write(name, &std::fs::read_to_string(from.join(name)).unwrap());
    }
    let teams = std::fs::read_dir(from.join("teams")).unwrap().count();
    assert_eq!(teams, 3, "an example that this test does not know");
    place
}

#[test]
fn experience_ux_38_the_examples_pass_check() {
    let said = examples().tandem(&["check", "--strict"]);
    assert_eq!((said.exit, &*said.err), (0, "3 namespaces, no errors\n"));
}

#[test]
fn experience_ux_38_the_examples_pass_check_beside_their_contracts() {
    let place = examples();
    let cases = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases");
    for case in ["catalogue", "search"] {
        let proto = std::fs::read_to_string(cases.join(case).join("contract.proto")).unwrap();
        place.write(&format!("teams/protos/tandem/cases/{case}/v1/contract.proto"), &proto);
    }
    for team in ["shop", "shop-rust", "search"] {
        // By text instead of by asking: all that needs a contract is judged then.
        let file = format!("teams/{team}.yaml");
        let text = place.read(&file);
        let line = text.lines().find(|line| line.starts_with("contract: ")).unwrap().to_owned();
        place.write(&file, &text.replace(&line, "contract: { protos: protos }"));
    }
    let said = place.tandem(&["check", "--strict"]);
    assert_eq!((said.exit, &*said.err), (0, "3 namespaces, no errors\n"));
}

#[test]
fn experience_ux_10_each_value_is_shown_with_its_origin() {
    let place = examples();
    let said = place.tandem(&["config", "show", "--origin"]);
    assert_eq!(said.exit, 0, "{said:?}");
    let row = |path: &str| {
        let found =
            said.out.lines().find(|line| line.trim_start().starts_with(&format!("{path} ")));
        let found = found.unwrap_or_else(|| panic!("no {path}:\n{}", said.out));
        found.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("listen.public.address"), "127.0.0.1:8080 tandem.yaml:4");
    assert_eq!(row("limits.message"), "4MiB default");
    assert_eq!(row("observe.access_log.to"), "none tandem.yaml:8");
    let shop = "shop: methods[\"tandem.cases.catalogue.v1.Catalogue/";
    let shown = |rest: &str| {
        let start = format!("{shop}{rest} ");
        let found = said.out.lines().find(|line| line.trim_start().starts_with(&start)).unwrap();
        found.trim_start()[start.len()..].split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown("WatchProducts\"].deadline"), "none teams/shop.yaml:14");
    assert_eq!(shown("WatchProducts\"].primary"), "go teams/shop.yaml:7 (defaults.primary)");
    assert_eq!(shown("*\"].internal"), "false default");

    // What no file says: the flag before the variable before the default.
    let mut command = place.command(&["config", "show", "--origin", "--config", "./tandem.yaml"]);
    let said =
        crate::place::said(command.env("TANDEM_DATA", "elsewhere").env("TANDEM_CONFIG", "x"));
    let row = |flag: &str| {
        let mut found =
            said.out.lines().map(str::split_whitespace).map(Iterator::collect::<Vec<_>>);
        found.find(|words| words[0] == flag).unwrap()[1..].join(" ")
    };
    assert_eq!(row("--config"), "./tandem.yaml flag");
    assert_eq!(row("--data"), "elsewhere TANDEM_DATA");
    assert_eq!(row("--admin"), "127.0.0.1:9080 default");
}
