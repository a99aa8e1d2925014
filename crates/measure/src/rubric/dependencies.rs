//! What a program is built from that is not its own, and under which licences.

use std::collections::BTreeSet;

use tandem_judge::verdict::Fact;

use super::{Found, Side, licences};

/// A crate or a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) own: bool,
    pub(crate) licence: Option<String>,
}

/// From `cargo tree --prefix none`; what is not of a registry stands with its folder.
///
/// # Errors
/// When it says nothing.
pub(crate) fn of_tree(text: &str) -> Result<Vec<Dependency>, String> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let Some(version) = version.strip_prefix('v') else { continue };
        let own = line.contains(" (/");
        found.insert((name.to_owned(), version.to_owned(), own));
    }
    if found.is_empty() {
        return Err("cargo tree named no crate".to_owned());
    }
    let dependency = |(name, version, own)| Dependency { name, version, own, licence: None };
    Ok(found.into_iter().map(dependency).collect())
}

/// How many, and which.
pub(crate) fn row(listed: &[Dependency], direct: impl Fn(&str) -> bool) -> Found {
    let others: Vec<&Dependency> = listed.iter().filter(|one| !one.own).collect();
    let direct = others.iter().filter(|one| direct(&one.name)).count();
    let own = listed.len() - others.len();
    let value = format!("{} ({direct} direct, {} transitive)", others.len(), others.len() - direct);
    let note = format!(
        "own packages left out: {own}; of the build for this machine, neither tests nor macros' own"
    );
    let said: Vec<String> =
        others.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
    Found { said: said.join("\n"), ..Found::new(value, note) }
}

/// The licences, and the fact that `license in {…}` asks for.
pub(crate) fn licence_row(side: &mut Side<'_>, command: &str, listed: &[Dependency]) {
    let (fact, found) = of_licences(listed);
    side.facts.insert("license".to_owned(), fact);
    side.row("R-9 licences", command, Ok(found));
}

fn of_licences(listed: &[Dependency]) -> (Fact, Found) {
    let mut clauses = BTreeSet::new();
    let mut unknown = Vec::new();
    for one in listed.iter().filter(|one| !one.own) {
        match one.licence.as_deref().and_then(licences::clauses) {
            Some(found) => clauses.extend(found),
            // Nobody's list allows it, so it fails the demand with the name of what to look at.
            None => {
                let name = format!("unknown licence of {}", one.name);
                clauses.insert(BTreeSet::from([name.clone()]));
                unknown.push(name);
            }
        }
    }
    let shown: Vec<String> = clauses
        .iter()
        .map(|clause| clause.iter().map(String::as_str).collect::<Vec<_>>().join(" or "))
        .collect();
    let note = "each is met by one of its names; a module's is known by the words of its file";
    let value = if shown.is_empty() { "none".to_owned() } else { shown.join("; ") };
    (Fact::OneOfEach(clauses), Found { said: unknown.join("\n"), ..Found::new(value, note) })
}

#[cfg(test)]
mod tests {
    use tandem_judge::verdict::{Must, Value};

    use super::*;

    /// Of `cargo tree -e normal --prefix none`.
    const TREE: &str = "catalogue v0.1.0 (/src/cases/catalogue/rust)
actix-web v4.18.1
actix-macros v0.2.6 (proc-macro)
case-service v0.1.0 (/src/cases/service/rust)
itoa v1.0.15
actix-web v4.18.1 (*)
";

    #[test]
    fn a_tree_counts_each_crate_once_and_own_ones_apart() {
        let listed = of_tree(TREE).unwrap();
        let found = row(&listed, |name| name == "actix-web");
        assert_eq!(found.value, "3 (1 direct, 2 transitive)");
        assert!(found.note.starts_with("own packages left out: 2"), "{}", found.note);
        assert_eq!(found.said, "actix-macros 0.2.6\nactix-web 4.18.1\nitoa 1.0.15");
        assert!(of_tree("error: no lockfile").is_err());
    }

    #[test]
    fn compare_v_3_a_licence_passes_when_one_of_each_is_allowed() {
        let one = |name: &str, licence: Option<&str>| Dependency {
            name: name.into(),
            version: "1.0.0".into(),
            own: false,
            licence: licence.map(str::to_owned),
        };
        for (licences, demand, expected) in [
            (vec![Some("MIT OR Apache-2.0"), Some("MIT")], "license in {MIT}", Value::Pass),
            (vec![Some("MIT AND Zlib")], "license in {MIT}", Value::Fail),
            (vec![Some("MIT"), None], "license in {MIT}", Value::Fail),
            (vec![], "license in {MIT}", Value::Pass),
        ] {
            let listed: Vec<Dependency> =
                licences.iter().map(|licence| one("a", *licence)).collect();
            let (fact, _) = of_licences(&listed);
            assert_eq!(Must::parse(demand).unwrap().judged(&fact).value, expected, "{licences:?}");
        }
    }
}
