//! What people see when a document is wrong: one golden frame a mistake (experience UX-18).

use tandem_config::{Paint, load, render};

const PLATFORM: &str = "\
format: 1
listen:
  public: { address: 127.0.0.1:8080 }
namespaces:
  shop:
    may: { services: [shop.v1.*], upstreams: [\"127.0.0.0/8:*\"], loopback: true }
";

const SHOP: &str = "\
namespace: shop
contract: { reflection: go }
upstreams:
  go: { address: 127.0.0.1:50051 }
methods:
  shop.v1.Catalogue/*: {}
";

/// The frames of a platform file and a team's file that are not taken.
fn frames(platform: &str, shop: &str) -> String {
    let problems = load::from_texts(platform, &[("teams/shop.yaml", shop)]).unwrap_err();
    render(&problems, Paint::Plain, "nothing was applied")
}

#[test]
fn the_documents_that_the_frames_spoil_are_good() {
    let loaded = load::from_texts(PLATFORM, &[("teams/shop.yaml", SHOP)]).unwrap();
    assert_eq!(loaded.namespaces[0].0.namespace, "shop");
}

#[test]
fn probe() {
    for (p, s) in [
        (PLATFORM.replace("listen:", "lisen:"), SHOP.to_owned()),
        (PLATFORM.to_owned(), SHOP.replace("{}", "{ deadline: { default: 2 } }")),
        (PLATFORM.to_owned(), SHOP.replace("{}", "{ internal: 1, mirror: { share: 10% } }")),
        (PLATFORM.to_owned(), format!("{SHOP}hosts: [A]\nhosts: []\n")),
        (PLATFORM.to_owned(), SHOP.replace("reflection: go }", "reflection: go")),
        (PLATFORM.to_owned(), SHOP.replace("namespace: shop", "namespace: Shop")),
    ] {
        println!("{}", frames(&p, &s));
    }
}
