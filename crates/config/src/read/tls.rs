//! `upstreams.NAME.tls`, with the files that it names.
//!
//! Certificates may stand in the document, a key may not: it is a file beside the document that
//! others cannot read (security TL-3).

use std::path::{Component, Path};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::Known::{Instead, Now};
use super::{At, Reading, shown};
use crate::document::{Identity, Tls};
use crate::files;
use crate::problem::{Problem, Tnd};

/// Far more than any chain or bundle of a system.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn tls(reading: &mut Reading, at: &At<'_>) -> Option<Tls> {
    let verified = "name the server's root in `ca`; unverified TLS needs a grant that is not built";
    let fields = reading.fields(
        at,
        &[Now("ca"), Now("name"), Now("cert"), Now("key"), Instead("insecure", verified)],
    );
    let roots = match fields.get("ca") {
        Some(at) => certificates(reading, at),
        None => {
            let fix = "write `ca: FILE`, the certificate of whoever signs the server's; the \
                       system's own are not asked";
            reading.missing(at, "ca", fix);
            None
        }
    };
    let name = fields.get("name").and_then(|at| name(reading, at));
    let identity = match (fields.get("cert"), fields.get("key")) {
        (Some(cert), Some(key)) => {
            let (chain, key) = (certificates(reading, cert), private_key(reading, key));
            Some(Identity { chain: chain?, key: Arc::new(key?) })
        }
        (Some(_), None) => {
            reading.missing(at, "key", "write `key: FILE`, the key of `cert`");
            None
        }
        (None, Some(_)) => {
            reading.missing(at, "cert", "write `cert: FILE`, the certificate of `key`");
            None
        }
        (None, None) => None,
    };
    Some(Tls { roots: roots?, name, identity })
}

fn name(reading: &mut Reading, at: &At<'_>) -> Option<ServerName<'static>> {
    let text = reading.text(at)?;
    let name = ServerName::try_from(text.to_owned()).ok();
    if name.is_none() {
        let should = "is the name or address in the server's certificate";
        reading.wrong(at, should, "write it without a port, for example `catalogue.shop.svc`");
    }
    name
}

/// One or more certificates, in the document or in a file.
pub(super) fn certificates(
    reading: &mut Reading,
    at: &At<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let text = reading.text(at)?;
    let pem = match text.trim_start().starts_with("-----BEGIN") {
        true => text.as_bytes().to_vec(),
        false => file(reading, at, Path::new(text))?,
    };
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Some(certificates),
        Ok(_) => unreadable(reading, at, "there is no certificate in it"),
        Err(error) => unreadable(reading, at, &error.to_string()),
    }
}

fn private_key(reading: &mut Reading, at: &At<'_>) -> Option<PrivateKeyDer<'static>> {
    let text = reading.text(at)?;
    if text.trim_start().starts_with("-----BEGIN") {
        let problem = Problem::error(Tnd::WrongType, "a key does not stand in a document")
            .here("documents are shown, kept and compared")
            .fix("put it in a file beside the document and write the file's name");
        reading.problem(at, problem);
        return None;
    }
    let pem = file(reading, at, Path::new(text))?;
    if files::others_may_read(&reading.folder.join(text)) {
        return unreadable(reading, at, "others on this machine can read it; `chmod o-r` it");
    }
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Some(key),
        Err(error) => unreadable(reading, at, &error.to_string()),
    }
}

/// A file below the folder of the document: a team does not read the gateway's files.
fn file(reading: &mut Reading, at: &At<'_>, relative: &Path) -> Option<Vec<u8>> {
    let below = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !below || relative.as_os_str().is_empty() {
        let what = format!("`{}` names a file outside the folder", shown(at));
        let problem = Problem::error(Tnd::OutsideGrant, what)
            .here("only files below the folder of this document are read")
            .why("a team must not read the gateway's files")
            .fix("put the file beside this document and write its name");
        reading.problem(at, problem);
        return None;
    }
    match files::read_below(&reading.folder, relative, PEM_BYTES_MAX) {
        Ok(bytes) => Some(bytes),
        Err(fault) => unreadable(reading, at, &fault.to_string()),
    }
}

fn unreadable<T>(reading: &mut Reading, at: &At<'_>, why: &str) -> Option<T> {
    let problem = Problem::error(Tnd::FileUnreadable, format!("`{}` cannot be used", shown(at)))
        .here(why)
        .fix("give a file in PEM, below the folder of this document");
    reading.problem(at, problem);
    None
}
