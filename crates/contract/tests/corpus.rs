//! The corpora of the fuzz targets, replayed.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::disallowed_methods, reason = "the corpus is in files")]

#[path = "checks/descriptor_set.rs"]
mod descriptor_set;
#[path = "checks/path_norm.rs"]
mod path_norm;
#[path = "checks/path_template.rs"]
mod path_template;

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
fn the_corpus_of_path_norm_passes() {
    replay("path_norm", path_norm::check);
}

#[test]
fn the_corpus_of_descriptor_set_passes() {
    replay("descriptor_set", descriptor_set::check);
}

#[test]
fn the_corpus_of_path_template_passes() {
    replay("path_template", path_template::check);
}
