//! The corpora of the fuzz targets, replayed.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "checks/config_load.rs"]
mod config_load;
#[path = "checks/settings_edit.rs"]
mod settings_edit;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder.join(target)).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 5, "the corpus of {target} is there");
}

#[test]
fn the_corpus_of_config_load_passes() {
    replay("config_load", config_load::check);
}

#[test]
fn the_corpus_of_settings_edit_passes() {
    replay("settings_edit", settings_edit::check);
}
