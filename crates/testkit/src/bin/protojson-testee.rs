//! The program that the conformance runner of Protocol Buffers drives: `protojson-testee SET`.
//!
//! Each request names a message of the descriptor set in the file `SET`, holds one as bytes or as
//! JSON, and wants it back as bytes or as JSON. It is converted by the plans of `transcode`, with
//! the limits of the product, as a call through the gateway would be. Requests and answers are
//! messages behind a length of four bytes, little-endian, until the input ends.
//!
//! Not here: what is right (the runner knows), the text format (`skipped`).
//!
//! Source: protobuf, conformance/conformance.proto.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use tandem_contract::{Contract, fields};
use tandem_transcode::{
    JsonOptions, Limits, Plans, json_from_wire, wire_from_json, wire_from_wire,
};

/// More than the runner's largest request; a length above it is a broken pipe of bytes.
const REQUEST_BYTES_MOST: usize = 64 << 20;

fn main() -> ExitCode {
    let outcome = std::env::args().nth(1).ok_or_else(|| "usage: protojson-testee SET".to_owned());
    match outcome.and_then(|set| plans(&set)).and_then(|plans| serve(&plans)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn plans(path: &str) -> Result<Plans, String> {
    let set = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let contract = Contract::from_descriptor_set(&set).map_err(|error| error.to_string())?;
    if let Some(fault) = contract.faults().first() {
        return Err(format!("{path}: {fault}"));
    }
    Ok(Plans::new(Arc::new(contract)))
}

/// Answers requests until there are no more.
fn serve(plans: &Plans) -> Result<(), String> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let broken = |error: io::Error| format!("the runner went away: {error}");
    let mut length = [0; 4];
    loop {
        match input.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read.map_err(broken)?,
        }
        let bytes = u32::from_le_bytes(length) as usize;
        if bytes > REQUEST_BYTES_MOST {
            return Err(format!("a request of {bytes} bytes"));
        }
        let mut request = vec![0; bytes];
        input.read_exact(&mut request).map_err(broken)?;
        let response = Request::read(&request)?.answer(plans).encoded();
        let length = u32::try_from(response.len()).map_err(|error| error.to_string())?;
        output.write_all(&length.to_le_bytes()).map_err(broken)?;
        output.write_all(&response).map_err(broken)?;
        output.flush().map_err(broken)?;
    }
}

/// `conformance.ConformanceRequest`.
#[derive(Default)]
struct Request<'a> {
    payload: Payload<'a>,
    /// `WireFormat`.
    wanted: u64,
    message: &'a str,
    /// `TestCategory`.
    category: u64,
}

#[derive(Default)]
enum Payload<'a> {
    Wire(&'a [u8]),
    Json(&'a [u8]),
    /// A form that is not ours, or none.
    #[default]
    Other,
}

const WIRE: u64 = 1;
const JSON: u64 = 2;
const JSON_IGNORE_UNKNOWN_PARSING_TEST: u64 = 3;

impl<'a> Request<'a> {
    fn read(bytes: &'a [u8]) -> Result<Request<'a>, String> {
        let mut request = Request::default();
        for field in fields::each(bytes) {
            let field = field?;
            match field.number {
                1 => request.payload = Payload::Wire(field.bytes),
                2 => request.payload = Payload::Json(field.bytes),
                3 => request.wanted = field.value,
                4 => {
                    request.message =
                        std::str::from_utf8(field.bytes).map_err(|error| error.to_string())?;
                }
                5 => request.category = field.value,
                7 | 8 => request.payload = Payload::Other,
                _ => {}
            }
        }
        Ok(request)
    }

    fn answer(&self, plans: &Plans) -> Response {
        // The runner asks for failures that are expected in advance; there are none.
        if self.message == "conformance.FailureSet" {
            return Response::Wire(Vec::new());
        }
        let Some(id) = plans.contract().message_named(self.message) else {
            return Response::RuntimeError(format!("no message `{}`", self.message));
        };
        let options = JsonOptions {
            ignore_unknown: self.category == JSON_IGNORE_UNKNOWN_PARSING_TEST,
            ..JsonOptions::default()
        };
        let limits = Limits::default();
        if self.wanted != WIRE && self.wanted != JSON {
            return Response::Skipped;
        }
        let read = match self.payload {
            Payload::Wire(wire) => wire_from_wire(plans, id, wire, &limits),
            Payload::Json(json) => wire_from_json(plans, id, json, &options, &limits),
            Payload::Other => return Response::Skipped,
        };
        let read = match read {
            Ok(wire) if self.wanted == WIRE => return Response::Wire(wire),
            Ok(wire) => wire,
            Err(fault) => return Response::ParseError(fault.to_string()),
        };
        // The gateway writes the upstream's own bytes, not a copy put in order.
        let wire = if let Payload::Wire(given) = self.payload { given } else { &read };
        match json_from_wire(plans, id, wire, &options, &limits) {
            Ok(json) => Response::Json(json),
            Err(fault) => Response::SerializeError(fault.to_string()),
        }
    }
}

/// `conformance.ConformanceResponse`.
enum Response {
    ParseError(String),
    SerializeError(String),
    RuntimeError(String),
    Wire(Vec<u8>),
    Json(Vec<u8>),
    Skipped,
}

impl Response {
    fn encoded(self) -> Vec<u8> {
        let (number, bytes) = match self {
            Response::ParseError(why) => (1, why.into_bytes()),
            Response::RuntimeError(why) => (2, why.into_bytes()),
            Response::Wire(wire) => (3, wire),
            Response::Json(json) => (4, json),
            Response::Skipped => (5, b"not a form of this gateway".to_vec()),
            Response::SerializeError(why) => (6, why.into_bytes()),
        };
        let mut out = Vec::with_capacity(bytes.len() + 8);
        fields::put_bytes(number, &bytes, &mut out);
        out
    }
}
