//! Why a call of the admin API was not carried out, as its answer.
//!
//! Not here: judging documents (`tandem_config`), credentials (`guard`).

use std::convert::Infallible;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tandem_config::access::Refused;
use tandem_config::access::issued::IssueFault;
use tandem_config::access::members::MemberFault;
use tandem_config::history::HistoryFault;
use tandem_config::secret::SecretFault;
use tandem_config::store::StoreFault;
use tandem_config::{ActFault, Problem, Tnd};

use crate::stored::Fault;

/// A refusal: a status and what is wrong.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    problems: Vec<Value>,
    /// The version that is live now, where somebody was faster.
    live: Option<u32>,
}

impl Refusal {
    /// One sentence without a code.
    pub(crate) fn new(
        status: StatusCode,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Refusal {
        let problem = json!({
            "code": null, "severity": "error", "where": "", "what": what.into(),
            "why": "", "fix": fix.into(),
        });
        Refusal { status, problems: vec![problem], live: None }
    }

    /// One sentence with a code.
    pub(crate) fn coded(
        status: StatusCode,
        code: Tnd,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Refusal {
        let mut refusal = Refusal::new(status, what, fix);
        refusal.problems[0]["code"] = json!(code.name());
        refusal
    }

    /// The request cannot be understood.
    pub(crate) fn malformed(what: impl Into<String>, fix: impl Into<String>) -> Refusal {
        Refusal::coded(StatusCode::BAD_REQUEST, Tnd::WrongType, what, fix)
    }

    /// Nothing is there, or nothing that this visitor may see.
    pub(crate) fn missing(what: impl Into<String>) -> Refusal {
        Refusal::coded(StatusCode::NOT_FOUND, Tnd::NoVersion, what, "look at what there is")
    }

    /// A gateway that serves files alone.
    pub(crate) fn no_store() -> Refusal {
        Refusal::coded(
            StatusCode::CONFLICT,
            Tnd::NoStore,
            "this gateway has no store, so nothing makes or reads versions",
            "write `store: { embedded: data/store }` in tandem.yaml and start it anew",
        )
    }

    /// A gateway whose store is damaged.
    pub(crate) fn store_away(why: &str) -> Refusal {
        Refusal::coded(
            StatusCode::SERVICE_UNAVAILABLE,
            Tnd::StoreDamaged,
            format!("the store cannot be used, and what was served last is served on: {why}"),
            "stop the gateway, move the store aside, fill a new one by `tandem store restore`",
        )
    }

    /// A write that does not say what it was made from.
    pub(crate) fn no_condition(example: &str) -> Refusal {
        Refusal::malformed("`If-Match` is missing", format!("say what was read: `{example}`"))
            .with(StatusCode::PRECONDITION_REQUIRED)
    }

    fn with(self, status: StatusCode) -> Refusal {
        Refusal { status, ..self }
    }

    /// Somebody was faster.
    pub(crate) fn newer(read: u32, live: u32) -> Refusal {
        ActFault::Act(HistoryFault::Newer { read, live }).into()
    }

    /// Who may not, and what he would need.
    pub(crate) fn no_right(refused: &Refused) -> Refusal {
        Refusal::coded(
            StatusCode::FORBIDDEN,
            Tnd::NoRight,
            refused.to_string(),
            "ask an owner of the namespace for the role, or somebody who has it",
        )
    }

    /// Faults of a document.
    pub(crate) fn wrong(problems: &[Problem]) -> Refusal {
        Refusal {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            problems: problems.iter().map(problem).collect(),
            live: None,
        }
    }

    fn store(fault: &StoreFault) -> Refusal {
        let (status, fix) = match fault {
            StoreFault::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "write it shorter"),
            StoreFault::Moved(_) => (StatusCode::PRECONDITION_FAILED, "read again, then write"),
            StoreFault::InUse
            | StoreFault::Damaged(_)
            | StoreFault::Io(_)
            | StoreFault::Unsure(_)
            | StoreFault::Older { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "look at the disk of the gateway; `tandem store check` tells more",
            ),
        };
        Refusal::coded(status, fault.code(), fault.to_string(), fix)
    }

    fn act<F>(fault: &ActFault<F>, of_act: impl FnOnce(&F) -> Refusal) -> Refusal {
        match fault {
            ActFault::Refused(refused) => Refusal::no_right(refused),
            ActFault::Store(fault) => Refusal::store(fault),
            ActFault::Act(fault) => of_act(fault),
        }
    }
}

/// A problem as the admin API tells it.
pub(crate) fn problem(problem: &Problem) -> Value {
    let mut told = serde_json::to_value(problem).unwrap_or_default();
    let place = match (&problem.file, problem.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        (None, _) => String::new(),
    };
    told["where"] = match (problem.path.as_str(), place.as_str()) {
        ("", place) => json!(place),
        (path, _) => json!(path),
    };
    told
}

impl From<StoreFault> for Refusal {
    fn from(fault: StoreFault) -> Refusal {
        Refusal::store(&fault)
    }
}

impl From<ActFault<Infallible>> for Refusal {
    fn from(fault: ActFault<Infallible>) -> Refusal {
        Refusal::act(&fault, |never| match *never {})
    }
}

impl From<ActFault<HistoryFault>> for Refusal {
    fn from(fault: ActFault<HistoryFault>) -> Refusal {
        Refusal::act(&fault, |fault| {
            let (status, fix) = match fault {
                HistoryFault::Newer { .. }
                | HistoryFault::DraftMoved
                | HistoryFault::PlatformMoved
                | HistoryFault::OtherText(_) => (
                    StatusCode::PRECONDITION_FAILED,
                    "look at what was published meanwhile, then make the change from it",
                ),
                HistoryFault::Claimed(_) => {
                    (StatusCode::CONFLICT, "claim something else, or agree with the other team")
                }
                HistoryFault::NoVersion(_) | HistoryFault::NoDraft => {
                    (StatusCode::NOT_FOUND, "`tandem history` lists what is kept")
                }
                HistoryFault::DraftTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "write it shorter"),
            };
            let live = match fault {
                HistoryFault::Newer { live, .. } => Some(*live),
                _ => None,
            };
            Refusal { live, ..Refusal::coded(status, fault.code(), fault.to_string(), fix) }
        })
    }
}

impl From<ActFault<MemberFault>> for Refusal {
    fn from(fault: ActFault<MemberFault>) -> Refusal {
        Refusal::act(&fault, |fault| {
            Refusal::coded(
                StatusCode::UNPROCESSABLE_ENTITY,
                Tnd::OverLimit,
                fault.to_string(),
                "give the role to a group instead",
            )
        })
    }
}

impl From<ActFault<IssueFault>> for Refusal {
    fn from(fault: ActFault<IssueFault>) -> Refusal {
        Refusal::act(&fault, |fault| {
            let (status, code, fix) = match fault {
                IssueFault::Missing(_) => {
                    (StatusCode::NOT_FOUND, Tnd::NoVersion, "list them to see the ids")
                }
                IssueFault::NameTaken(_) => {
                    (StatusCode::CONFLICT, Tnd::DuplicateKey, "choose another name, or revoke it")
                }
                IssueFault::TooMany => {
                    (StatusCode::UNPROCESSABLE_ENTITY, Tnd::OverLimit, "revoke what nobody uses")
                }
                IssueFault::Lifetime | IssueFault::Scopes => {
                    (StatusCode::UNPROCESSABLE_ENTITY, Tnd::OverLimit, "stay within the bounds")
                }
                IssueFault::NoRandom(_) => {
                    (StatusCode::SERVICE_UNAVAILABLE, Tnd::StoreUnwritable, "try again")
                }
            };
            Refusal::coded(status, code, fault.to_string(), fix)
        })
    }
}

impl From<ActFault<SecretFault>> for Refusal {
    fn from(fault: ActFault<SecretFault>) -> Refusal {
        Refusal::act(&fault, |fault| {
            let (status, code, fix) = match fault {
                SecretFault::TooLarge => {
                    (StatusCode::PAYLOAD_TOO_LARGE, Tnd::OverLimit, "keep files elsewhere")
                }
                SecretFault::Missing(_) => {
                    (StatusCode::NOT_FOUND, Tnd::NoVersion, "`tandem secret list` has the names")
                }
                SecretFault::Seal(_) => {
                    (StatusCode::SERVICE_UNAVAILABLE, Tnd::StoreUnwritable, "look at the key file")
                }
            };
            Refusal::coded(status, code, fault.to_string(), fix)
        })
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        match fault {
            Fault::Wrong(problems) => Refusal::wrong(&problems),
            Fault::Act(fault) => fault.into(),
            Fault::NoContract(why) => Refusal::coded(
                StatusCode::UNPROCESSABLE_ENTITY,
                Tnd::NoReflection,
                format!("the document cannot be checked, for its contract is not at hand: {why}"),
                "start the service, or write `contract: { descriptors: FILE }`",
            ),
            Fault::NotServed(why) => Refusal::coded(
                StatusCode::SERVICE_UNAVAILABLE,
                Tnd::StoreUnwritable,
                format!("the version is stored, and what served before goes on: {why}"),
                "look at `tandem status`",
            ),
            Fault::NameTaken(name) => Refusal::coded(
                StatusCode::PRECONDITION_FAILED,
                Tnd::DuplicateKey,
                format!("there is a namespace `{name}`"),
                "choose another name; what it may is changed with the platform's document",
            ),
            Fault::NotEditable(why) => Refusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("the namespace cannot be put into the platform's document: {why}"),
                "write it there by hand and publish that: `POST /api/v1/platform/publish`",
            ),
            Fault::Broken(why) => {
                tracing::error!("a fault of the gateway: {why}");
                Refusal::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "a fault of the gateway; nothing is known of the change",
                    "read again; the log says more",
                )
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({ "problems": self.problems });
        if let Some(live) = self.live {
            body["live"] = json!(live);
        }
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "application/json")], body.to_string())
                .into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
