//! One scalar of a message as plain text: what numbers the events of a stream (protocols S-7).
//!
//! The text is that of the field's JSON without quotes and escapes, so any letter may stand in
//! it: whoever puts it between others looks after that.

use tandem_contract::{Cardinality, Contract, FieldPath, MessageId};

use crate::fault::Fault;
use crate::json::Reader;
use crate::limits::{JsonOptions, Limits};
use crate::plan::Plans;
use crate::to_json::field_to_json;

/// A dotted path to a scalar, checked against the types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldText(FieldPath);

impl FieldText {
    /// The field at `path` from `message` on.
    ///
    /// # Errors
    /// A sentence about a path that leads to no singular scalar.
    pub fn new(contract: &Contract, message: MessageId, path: &str) -> Result<FieldText, String> {
        let path = contract.field_path(message, path)?;
        let last = path.last(contract);
        if last.cardinality != Cardinality::Singular || last.kind.message().is_some() {
            return Err(format!("`{}` is no single scalar", path.text));
        }
        Ok(FieldText(path))
    }

    /// The text of the field in these bytes; `None` where it can be unset and is.
    ///
    /// # Errors
    /// As [`crate::json_from_wire`].
    pub fn read(
        &self,
        plans: &Plans,
        wire: &[u8],
        options: &JsonOptions,
        limits: &Limits,
    ) -> Result<Option<String>, Fault> {
        let json = field_to_json(plans, &self.0.steps, wire, options, limits)?;
        if json.first() == Some(&b'"') {
            let mut reader = Reader::new(&json, limits).map_err(|fault| *fault)?;
            return Ok(Some(reader.string().map_err(|fault| *fault)?.into_owned()));
        }
        let text = String::from_utf8(json).expect("JSON is UTF-8");
        Ok((text != "null").then_some(text))
    }
}
