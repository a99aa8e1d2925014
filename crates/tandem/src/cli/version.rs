//! `tandem version`.

use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{self, Form};
use crate::page;

/// Cargo features of this build.
const FEATURES: &[&str] = match (cfg!(feature = "jemalloc"), cfg!(feature = "otlp")) {
    (false, false) => &[],
    (true, false) => &["jemalloc"],
    (false, true) => &["otlp"],
    (true, true) => &["jemalloc", "otlp"],
};

pub(super) fn version(form: Form) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match form {
        Form::Text => {
            let features = match FEATURES {
                [] => "none".to_owned(),
                features => features.join(", "),
            };
            let page = if page::is_built() { "built in" } else { "not built" };
            output::data(&format!("tandem {version}   features: {features}   page: {page}"));
        }
        Form::Json => {
            let about =
                json!({ "version": version, "features": FEATURES, "page": page::is_built() });
            output::data(&about.to_string());
        }
    }
    Ok(Exit::Fine)
}
