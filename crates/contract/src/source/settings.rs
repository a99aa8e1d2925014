//! Which message holds the settings of which service, and what stands beside its fields.
//!
//! The option `tandem.settings.v1.settings` is read from its bytes, as `google.api.http` is, and
//! counts where the set declares it: its number is free for everybody. Comments are kept of
//! settings messages alone, for whoever fills them in.
//!
//! Not here: values (`tandem-config`).
//!
//! Source of numbers: proto/tandem/settings/v1/settings.proto, and google/protobuf/descriptor.proto
//! of the comments.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use buffa::Message as _;
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions,
};

use super::build::Builder;
use super::field::cut;
use super::{SOURCE_CODE_INFO, fault};
use crate::fields;
use crate::types::{Contract, MessageId, WellKnown};

/// Bytes of the comment of one field.
pub const COMMENT_BYTES_MOST: usize = 1_024;
/// Bytes of all comments of a contract.
const COMMENTS_BYTES_MOST: usize = 512 * 1024;

const OPTION: i32 = 51_873;

const FIX_SERVICE: &str = "write `option (tandem.settings.v1.settings) = { service: \
                           \"package.Service\" };` with a service of this contract";

/// Whether an extension declared in `scope` is the option.
pub(super) fn is_option(scope: &str, proto: &FieldDescriptorProto) -> bool {
    scope == "tandem.settings.v1"
        && proto.name.as_deref() == Some("settings")
        && proto.number == Some(OPTION)
        && proto.extendee.as_deref() == Some(".google.protobuf.MessageOptions")
}

/// The bytes of the option; one that was written in parts is all of them.
pub(super) fn option_of(options: &MessageOptions) -> Option<Vec<u8>> {
    // The library keeps extensions that it does not know as bytes (protocols X-2).
    let bytes = options.encode_to_vec();
    let parts = fields::each(&bytes).map_while(Result::ok);
    let parts: Vec<&[u8]> =
        parts.filter(|field| field.number == OPTION as u32).map(|field| field.bytes).collect();
    (!parts.is_empty()).then(|| parts.concat())
}

impl Builder {
    /// The settings messages by service, once all services are known.
    pub(super) fn settings(&mut self) -> BTreeMap<Box<str>, MessageId> {
        let mut found: BTreeMap<Box<str>, MessageId> = BTreeMap::new();
        for (id, option) in std::mem::take(&mut self.settings) {
            let service = fields::each(&option).map_while(Result::ok);
            let service = service.filter(|field| field.number == 1).last();
            let service = service.map_or("", |field| str::from_utf8(field.bytes).unwrap_or(""));
            let message = &self.messages[id.0 as usize];
            let (what, fix) = if service.is_empty() {
                ("it is the settings of a service and does not say of which".into(), FIX_SERVICE)
            } else if !self.service_names.contains(service) {
                let what = format!("it is the settings of `{}`, which is not here", cut(service));
                (what, FIX_SERVICE)
            } else if let Some(other) = found.get(service) {
                let other = &self.messages[other.0 as usize].full_name;
                let what = format!(
                    "the settings of `{}` are `{}` already, which count",
                    cut(service),
                    cut(other)
                );
                (what, "give each service one settings message")
            } else {
                found.insert(service.into(), id);
                continue;
            };
            let fault = fault(&message.file, &cut(&message.full_name), what, fix);
            self.faults.add(fault);
        }
        found
    }
}

/// The comments of the fields of settings messages and of all messages in them. `as_given` are the
/// files with their source positions.
pub(super) fn comments(
    contract: &Contract,
    files: &BTreeMap<String, FileDescriptorProto>,
    as_given: &BTreeMap<String, &[u8]>,
) -> BTreeMap<(MessageId, u32), Box<str>> {
    let mut wanted: BTreeMap<&str, BTreeSet<MessageId>> = BTreeMap::new();
    for id in held(contract) {
        wanted.entry(&contract.message(id).file).or_default().insert(id);
    }
    let mut found = BTreeMap::new();
    let mut left = COMMENTS_BYTES_MOST;
    for (name, messages) in wanted {
        let (Some(file), Some(bytes)) = (files.get(name), as_given.get(name)) else { continue };
        let mut places = HashMap::new();
        let package = file.package.as_deref().unwrap_or("");
        for (index, message) in (0..).zip(&file.message_type) {
            place_fields(contract, &messages, message, package, &mut vec![4, index], &mut places);
        }
        let info = fields::each(bytes).map_while(Result::ok);
        for info in info.filter(|field| field.number == SOURCE_CODE_INFO) {
            for location in fields::each(info.bytes).map_while(Result::ok) {
                let Some((path, comment)) = commented(location.bytes) else { continue };
                let Some(field) = places.get(&path) else { continue };
                let comment = tidy(comment);
                if comment.is_empty() || comment.len() > left || found.contains_key(field) {
                    continue;
                }
                left -= comment.len();
                found.insert(*field, comment.into());
            }
        }
    }
    found
}

/// Settings messages and all that they hold, those with a form of their own left out.
fn held(contract: &Contract) -> BTreeSet<MessageId> {
    let mut todo: Vec<MessageId> = contract.settings().map(|(_, message)| message).collect();
    let mut held = BTreeSet::new();
    while let Some(id) = todo.pop() {
        let message = contract.message(id);
        if message.well_known == WellKnown::No && held.insert(id) {
            todo.extend(message.fields.iter().filter_map(|field| field.kind.message()));
        }
    }
    held
}

/// Notes where the fields of `messages` are declared. Recursion is as deep as types nest, which has
/// been counted; `path` is as long as that.
fn place_fields(
    contract: &Contract,
    messages: &BTreeSet<MessageId>,
    proto: &DescriptorProto,
    scope: &str,
    path: &mut Vec<u64>,
    places: &mut HashMap<Vec<u64>, (MessageId, u32)>,
) {
    let name = proto.name.as_deref().unwrap_or("");
    let full_name = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
    if let Some(id) = contract.message_named(&full_name).filter(|id| messages.contains(id)) {
        for (index, field) in (0..).zip(&proto.field) {
            let number = field.number.and_then(|number| u32::try_from(number).ok());
            let place = path.iter().copied().chain([2, index]).collect();
            places.extend(number.map(|number| (place, (id, number))));
        }
    }
    for (index, nested) in (0..).zip(&proto.nested_type) {
        path.extend([3, index]);
        place_fields(contract, messages, nested, &full_name, path, places);
        path.truncate(path.len() - 2);
    }
}

/// Path and comment of a serialized `SourceCodeInfo.Location`: what stands above, or else behind.
pub(super) fn commented(location: &[u8]) -> Option<(Vec<u64>, &str)> {
    let (mut path, mut above, mut behind) = (Vec::new(), None, None);
    for field in fields::each(location).map_while(Result::ok) {
        match field.number {
            1 if field.bytes.is_empty() => path.push(field.value),
            1 => path.extend(fields::varints(field.bytes)),
            3 => above = str::from_utf8(field.bytes).ok(),
            4 => behind = str::from_utf8(field.bytes).ok(),
            _ => {}
        }
    }
    Some((path, above.or(behind)?))
}

/// Lines without their margins, a paragraph on one line, at most [`COMMENT_BYTES_MOST`].
fn tidy(comment: &str) -> String {
    let mut text = String::new();
    let mut paragraph = false;
    for line in comment.lines().map(str::trim) {
        if line.is_empty() {
            paragraph = !text.is_empty();
            continue;
        }
        if !text.is_empty() {
            text.push(if std::mem::take(&mut paragraph) { '\n' } else { ' ' });
        }
        text.extend(line.chars().filter(|letter| !letter.is_control()));
        if text.len() > COMMENT_BYTES_MOST {
            let most = text.floor_char_boundary(COMMENT_BYTES_MOST - '…'.len_utf8());
            text.truncate(most);
            text.push('…');
            break;
        }
    }
    text
}

/// A serialized `FileDescriptorSet` whose source positions are those of commented fields alone.
/// Bytes that are none stay as they are.
pub fn with_comments_only(set: &[u8]) -> Vec<u8> {
    thinned(set).unwrap_or_else(|_| set.to_vec())
}

fn thinned(set: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(set.len());
    for file in fields::each(set) {
        let file = file?.bytes;
        let mut thin = fields::without(SOURCE_CODE_INFO, file)?;
        let mut kept = Vec::new();
        for info in fields::each(file) {
            let info = info?;
            if info.number != SOURCE_CODE_INFO {
                continue;
            }
            for location in fields::each(info.bytes) {
                let location = location?.bytes;
                // The field of a message, at whatever depth.
                let of_field =
                    |path: &[u64]| matches!(path, [4, .., 2, _]) && path.len().is_multiple_of(2);
                if commented(location).is_some_and(|(path, _)| of_field(&path)) {
                    fields::put_bytes(1, location, &mut kept);
                }
            }
        }
        if !kept.is_empty() {
            fields::put_bytes(SOURCE_CODE_INFO, &kept, &mut thin);
        }
        fields::put_bytes(1, &thin, &mut out);
    }
    Ok(out)
}
