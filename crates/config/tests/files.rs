//! Documents and descriptor sets from a folder: what is read and what is refused.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tandem_config::load::{DESCRIPTOR_SET_BYTES_MAX, descriptor_set};
use tandem_config::{Problem, Tnd, load};

const PLATFORM: &str = "format: 1\nlisten: { public: { address: 127.0.0.1:0 } }\n";

const SHOP: &str = "\
namespace: shop
contract: { descriptors: sets/shop.binpb }
upstreams: { go: { address: 10.0.0.1:1 } }
methods: { a.B/*: {} }
";

/// A folder of its own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &[(&str, &[u8])]) -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tandem-config-files-{}-{number}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        for (name, bytes) in files {
            let path = folder.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn load(&self) -> Result<tandem_config::Loaded, Vec<Problem>> {
        load(&self.0.join("tandem.yaml"))
    }

    /// The only problem: its code, and the file it names.
    fn problem(&self) -> (Tnd, String) {
        match &self.load().unwrap_err()[..] {
            [one] => (one.code, one.file.clone().unwrap()),
            several => panic!("{several:#?}"),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_teams_beside_the_platform_are_read_in_the_order_of_their_names() {
    let stock = SHOP.replace("namespace: shop", "namespace: stock");
    let folder = Folder::with(&[
        ("tandem.yaml", PLATFORM.as_bytes()),
        ("teams/stock.json", stock.as_bytes()),
        ("teams/shop.yaml", SHOP.as_bytes()),
        ("teams/.shop.yaml", b"an editor's copy"),
        ("teams/README.md", b"# not a document"),
    ]);
    let loaded = folder.load().unwrap();
    let names: Vec<_> =
        loaded.namespaces.iter().map(|(document, _)| document.namespace.as_str()).collect();
    assert_eq!(names, ["shop", "stock"]);
    assert_eq!(loaded.namespaces[0].1, folder.0.join("teams/shop.yaml"));
}

#[test]
fn a_platform_without_teams_is_whole() {
    let folder = Folder::with(&[("tandem.yaml", PLATFORM.as_bytes())]);
    assert!(folder.load().unwrap().namespaces.is_empty());
}

#[test]
fn a_byte_order_mark_is_dropped() {
    let text = format!("\u{feff}{PLATFORM}");
    let folder = Folder::with(&[("tandem.yaml", text.as_bytes())]);
    assert!(folder.load().is_ok());
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let missing = Folder::with(&[]);
    assert_eq!(missing.problem(), (Tnd::FileUnreadable, "tandem.yaml".to_owned()));
    let folder = Folder::with(&[("tandem.yaml/x", b"")]);
    assert_eq!(folder.problem(), (Tnd::FileUnreadable, "tandem.yaml".to_owned()));
    let bytes = Folder::with(&[("tandem.yaml", PLATFORM.as_bytes()), ("teams/a.yaml", b"\xff")]);
    assert_eq!(bytes.problem(), (Tnd::FileUnreadable, "teams/a.yaml".to_owned()));
    let large = vec![b'#'; 1024 * 1024 + 1];
    let large = Folder::with(&[("tandem.yaml", PLATFORM.as_bytes()), ("teams/a.yaml", &large)]);
    assert_eq!(large.problem(), (Tnd::OverLimit, "teams/a.yaml".to_owned()));
}

#[test]
fn a_namespace_with_two_files_is_refused() {
    let folder = Folder::with(&[
        ("tandem.yaml", PLATFORM.as_bytes()),
        ("teams/shop.json", SHOP.as_bytes()),
        ("teams/shop.yaml", SHOP.as_bytes()),
    ]);
    assert_eq!(folder.problem(), (Tnd::DuplicateKey, "teams/shop.yaml".to_owned()));
}

/// The descriptor set of `shop`, or the code of what is wrong with it.
fn set_of(folder: &Folder) -> Result<usize, Tnd> {
    let loaded = folder.load().unwrap();
    descriptor_set(&loaded, "shop").unwrap().map(|set| set.len()).map_err(|problem| problem.code)
}

#[test]
fn security_cf_7_a_descriptor_set_has_at_most_8_mebibytes() {
    let set = |bytes: u64| {
        let bytes = vec![0; usize::try_from(bytes).unwrap()];
        set_of(&Folder::with(&[
            ("tandem.yaml", PLATFORM.as_bytes()),
            ("teams/shop.yaml", SHOP.as_bytes()),
            ("teams/sets/shop.binpb", &bytes),
        ]))
    };
    assert_eq!(set(DESCRIPTOR_SET_BYTES_MAX), Ok(8 * 1024 * 1024));
    assert_eq!(set(DESCRIPTOR_SET_BYTES_MAX + 1), Err(Tnd::OverLimit));
}

#[test]
fn a_missing_descriptor_set_is_told_at_its_key() {
    let folder =
        Folder::with(&[("tandem.yaml", PLATFORM.as_bytes()), ("teams/shop.yaml", SHOP.as_bytes())]);
    let loaded = folder.load().unwrap();
    let problem = descriptor_set(&loaded, "shop").unwrap().unwrap_err();
    assert_eq!(problem.code, Tnd::FileUnreadable);
    assert_eq!((problem.line, problem.path.as_str()), (Some(2), "contract.descriptors"));
}

#[test]
#[cfg(unix)]
fn experience_ux_27_a_team_reads_no_file_outside_its_folder_not_even_by_a_link() {
    let folder = Folder::with(&[
        ("tandem.yaml", PLATFORM.as_bytes()),
        ("teams/shop.yaml", SHOP.as_bytes()),
        ("teams/sets/other.binpb", b"inside"),
        ("secret", b"outside!"),
    ]);
    let link = folder.0.join("teams/sets/shop.binpb");
    std::os::unix::fs::symlink(folder.0.join("secret"), &link).unwrap();
    assert_eq!(set_of(&folder), Err(Tnd::FileUnreadable));
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("other.binpb", &link).unwrap();
    assert_eq!(set_of(&folder), Ok(6));
    for outside in ["../secret", "/etc/passwd", "sets/../../secret", ""] {
        let text = SHOP.replace("sets/shop.binpb", &format!("\"{outside}\""));
        std::fs::write(folder.0.join("teams/shop.yaml"), text).unwrap();
        assert_eq!(folder.problem(), (Tnd::OutsideGrant, "teams/shop.yaml".to_owned()));
    }
}

#[test]
fn experience_ux_21_every_page_of_the_manual_belongs_to_a_code() {
    let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual/errors");
    for page in std::fs::read_dir(pages).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        let code = name.strip_suffix(".md").unwrap_or(&name);
        assert!(Tnd::named(code).is_some(), "{name}");
    }
}

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

/// A team's file whose upstream has these keys under `tls`, beside certificates and keys.
fn with_tls(tls: &str) -> Folder {
    use std::os::unix::fs::PermissionsExt as _;
    let shop = SHOP.replace("10.0.0.1:1", &format!("\"10.0.0.1:1\", tls: {{ {tls} }}"));
    let folder = Folder::with(&[
        ("tandem.yaml", PLATFORM.as_bytes()),
        ("teams/shop.yaml", shop.as_bytes()),
        ("teams/ca.pem", CERTIFICATE.repeat(2).as_bytes()),
        ("teams/own.pem", CERTIFICATE.as_bytes()),
        ("teams/own.key", KEY.as_bytes()),
        ("teams/open.key", KEY.as_bytes()),
        ("teams/empty.pem", b"nothing"),
        ("outside.pem", CERTIFICATE.as_bytes()),
    ]);
    for (key, mode) in [("own.key", 0o640), ("open.key", 0o644)] {
        let path = folder.0.join("teams").join(key);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    folder
}

#[test]
fn tls_of_an_upstream_is_read_with_its_files() {
    let read = |tls: &str| {
        let loaded = with_tls(tls).load().unwrap_or_else(|problems| panic!("{tls}: {problems:#?}"));
        loaded.namespaces[0].0.upstreams["go"].tls.clone().unwrap()
    };
    let tls = read("ca: ca.pem");
    assert_eq!((tls.roots.len(), tls.name, tls.identity), (2, None, None));
    let inline = read(&format!("ca: {CERTIFICATE:?}, name: shop.svc"));
    assert_eq!(inline.roots.len(), 1);
    assert_eq!(inline.name.unwrap().to_str(), "shop.svc");
    let identity = read("ca: ca.pem, cert: own.pem, key: own.key").identity.unwrap();
    assert_eq!(identity.chain.len(), 1);
}

#[test]
fn security_tl_3_what_stands_under_tls_is_refused_where_it_cannot_be_trusted() {
    for (tls, code) in [
        ("", Tnd::MissingKey),
        ("name: shop.svc", Tnd::MissingKey),
        ("ca: missing.pem", Tnd::FileUnreadable),
        ("ca: empty.pem", Tnd::FileUnreadable),
        ("ca: ../outside.pem", Tnd::OutsideGrant),
        ("ca: /etc/ssl/certs/ca-certificates.crt", Tnd::OutsideGrant),
        ("ca: ca.pem, name: \"a b\"", Tnd::WrongType),
        ("ca: ca.pem, name: \"shop.svc:443\"", Tnd::WrongType),
        ("ca: ca.pem, cert: own.pem", Tnd::MissingKey),
        ("ca: ca.pem, key: own.key", Tnd::MissingKey),
        ("ca: ca.pem, cert: own.pem, key: own.pem", Tnd::FileUnreadable),
        ("ca: ca.pem, cert: own.pem, key: open.key", Tnd::FileUnreadable),
        ("ca: ca.pem, insecure: true", Tnd::NotBuiltIn),
        ("ca: ca.pem, roots: x", Tnd::UnknownKey),
    ] {
        let problems = with_tls(tls).load().unwrap_err();
        let codes: Vec<Tnd> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [code], "{tls}: {problems:#?}");
    }
    let inline = with_tls(&format!("ca: ca.pem, cert: own.pem, key: {KEY:?}"));
    assert_eq!(inline.problem().0, Tnd::WrongType);
}
