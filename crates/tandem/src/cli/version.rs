//! `tandem version`.

use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

pub(super) fn version(form: Form) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match form {
        Form::Text => output::data(&format!("tandem {version}   page: not built")),
        Form::Json => {
            output::data(&json!({ "version": version, "features": [], "page": false }).to_string());
        }
    }
    Ok(Exit::Fine)
}
