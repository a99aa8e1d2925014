//! Every path of the admin API: its method, the right that it needs, what it takes and gives.
//!
//! The router, the OpenAPI document and the test of the whole matrix of rights are made from this
//! table (security RB-6, T-7). A path cannot be served without a line here, and a line without its
//! [`Right`] does not compile. Rights are asked before a handler runs; the store asks once more.
//!
//! Not here: what the handlers do.

use std::future::Future;
use std::pin::Pin;

use axum::http::Method;
use tandem_config::access::Action;

use super::call::{Answer, Call};
use super::refusal::Refusal;
use super::{audit, credentials, events, look, members, pairs, secrets, session, teams, values};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Anybody; it gives away nothing.
    Open,
    /// Whoever signed in; what he may not see is left out of the answer.
    Visitor,
    /// Whoever may do this in the namespace of the path. Who may not even read it there is told
    /// that there is none.
    In(Action),
    /// At least this; or some settings field there was opened to him (security RB-10). What is
    /// needed in the end the act itself knows and asks: which fields change, whether it is a draft.
    InByAct(Action),
    /// Whoever may do this to what belongs to the platform.
    OfPlatform(Action),
}

/// What becomes of a call.
pub(super) type Answered = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send>>;

/// One method of one path.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// Below `/api/v1`; `{namespace}` is a namespace everywhere.
    pub(crate) path: &'static str,
    pub(crate) right: Right,
    /// One line for the OpenAPI document.
    pub(crate) summary: &'static str,
    /// The name of the schema of the body; `None`: no body.
    pub(crate) takes: Option<&'static str>,
    /// The name of the schema of the answer; `None`: 204.
    pub(crate) gives: Option<&'static str>,
    /// Whether it names the version that it was made from in `If-Match`.
    pub(crate) conditional: bool,
    pub(super) run: fn(Call) -> Answered,
}

macro_rules! routes {
    ($($method:ident $path:literal, $right:expr, $takes:expr => $gives:expr, $conditional:literal,
       $summary:literal, $handler:path;)*) => {
        /// Every path.
        pub(crate) const ROUTES: &[Route] = &[$(Route {
            method: Method::$method,
            path: $path,
            right: $right,
            summary: $summary,
            takes: $takes,
            gives: $gives,
            conditional: $conditional,
            run: |call| Box::pin($handler(call)),
        }),*];
    };
}

use Action::{
    AcceptNoise, ListKeys, ListSecrets, ListTokens, Publish, PurgeCache, ReadAudit, ReadDocument,
    ReadDraft, ReadGrants, ReadMembers, ReadMetrics, ReadVerdict, RollBack, WriteDraft,
    WriteGrants, WriteKey, WriteListener, WriteMembers, WriteSecret, WriteToken,
};
use Right::{In, InByAct, OfPlatform, Open, Visitor};

routes! {
    GET "/session", Visitor, None => Some("Session"), false,
        "Who asks, and which roles he has", session::show;
    POST "/session", Open, Some("SignIn") => None, false,
        "Signs in with a token or a one-time link; gives a cookie", session::begin;
    DELETE "/session", Visitor, None => None, false,
        "Signs out", session::end;
    POST "/links", Visitor, None => Some("Link"), false,
        "Makes a link that signs its first user in, within half an hour", session::link;
    GET "/status", Visitor, None => Some("Status"), false,
        "What the gateway does", look::status;
    GET "/events", Visitor, None => Some("Events"), false,
        "The status each second, and versions as they go live", events::events;
    GET "/openapi.json", Visitor, None => Some("OpenApi"), false,
        "This document", look::openapi;
    GET "/methods", Visitor, None => Some("Methods"), false,
        "Every method that is served, and by which rules", look::methods;
    GET "/pairs", Visitor, None => Some("Pairs"), false,
        "Every method whose calls are mirrored, with what moves", pairs::list;
    GET "/traces/{id}", Visitor, None => Some("Spans"), false,
        "The kept spans of a trace", look::trace;
    GET "/requests/{id}", Visitor, None => Some("Spans"), false,
        "The kept spans of a request id", look::request;
    POST "/reload", OfPlatform(WriteListener), None => Some("Reloaded"), false,
        "Reads the files again", look::reload;
    GET "/namespaces", Visitor, None => Some("Namespaces"), false,
        "The namespaces that one may see", teams::list;
    GET "/namespaces/{namespace}", In(ReadDocument), None => Some("Namespace"), false,
        "The live version of a namespace", teams::show;
    PUT "/namespaces/{namespace}", OfPlatform(WriteGrants), Some("NewNamespace") => Some("Published"), true,
        "Adds a namespace to the platform's document; `If-None-Match: *`", teams::create;
    GET "/namespaces/{namespace}/contract", In(ReadDocument), None => Some("DescriptorSet"), false,
        "The contract as it is served", teams::contract;
    GET "/namespaces/{namespace}/versions", In(ReadDocument), None => Some("Versions"), false,
        "The versions that are kept, the newest first", teams::versions;
    GET "/namespaces/{namespace}/versions/{number}", In(ReadDocument), None => Some("Version"), false,
        "One version with its text", teams::version;
    GET "/namespaces/{namespace}/draft", In(ReadDraft), None => Some("Draft"), false,
        "The draft", teams::draft;
    PUT "/namespaces/{namespace}/draft", In(WriteDraft), Some("DraftText") => Some("Draft"), true,
        "Saves the draft in the place of the one that was read", teams::save_draft;
    DELETE "/namespaces/{namespace}/draft", In(WriteDraft), None => None, true,
        "Takes the draft away", teams::discard_draft;
    POST "/namespaces/{namespace}/check", In(ReadDocument), Some("DocumentText") => Some("Checked"), false,
        "Checks a document; stores nothing", teams::check;
    POST "/namespaces/{namespace}/diff", In(ReadDocument), Some("DiffOf") => Some("Diff"), false,
        "What differs between two documents", teams::diff_of;
    POST "/namespaces/{namespace}/publish", InByAct(Publish), Some("Publication") => Some("Published"), true,
        "Makes a document or the draft the live version", teams::publish;
    POST "/namespaces/{namespace}/rollback", In(RollBack), Some("Rollback") => Some("Published"), true,
        "Makes an older version live again, as a new one", teams::roll_back;
    GET "/namespaces/{namespace}/settings", In(ReadDocument), None => Some("AllSettings"), false,
        "The settings of every service", values::list;
    GET "/namespaces/{namespace}/settings/{service}", In(ReadDocument), None => Some("Settings"), false,
        "The settings of a service, with the form to change them", values::show;
    PATCH "/namespaces/{namespace}/settings/{service}", InByAct(WriteDraft), Some("SettingsChange") => Some("Published"), true,
        "Changes single values", values::change;
    GET "/namespaces/{namespace}/settings/{service}/versions", In(ReadDocument), None => Some("SettingsVersions"), false,
        "The versions in which these values changed", values::versions;
    POST "/namespaces/{namespace}/settings/{service}/rollback", InByAct(RollBack), Some("Rollback") => Some("Published"), true,
        "Takes these values back to an older version; the rest stays", values::roll_back;
    GET "/namespaces/{namespace}/methods/{service}/{method}/verdict", In(ReadVerdict), None => Some("LiveVerdict"), false,
        "What the pairs of a method say so far, and what is open", pairs::verdict;
    GET "/namespaces/{namespace}/methods/{service}/{method}/differences", In(ReadVerdict), None => Some("Differences"), false,
        "Where the answers of a pair differ; values for publishers", pairs::differences;
    GET "/namespaces/{namespace}/methods/{service}/{method}/noise", In(ReadVerdict), None => Some("Noise"), false,
        "Differences that mean nothing: learned, and declared", pairs::noise;
    POST "/namespaces/{namespace}/methods/{service}/{method}/noise", In(AcceptNoise), Some("NoiseAccepted") => Some("Published"), true,
        "Declares that differences of a path mean nothing", pairs::accept;
    PUT "/namespaces/{namespace}/methods/{service}/{method}/mirror", In(Publish), Some("MirrorChange") => Some("Published"), true,
        "Switches the mirror of a method on or off", pairs::mirror;
    GET "/namespaces/{namespace}/cache", In(ReadMetrics), None => Some("Cache"), false,
        "What is kept of answers", look::cache;
    POST "/namespaces/{namespace}/cache/purge", In(PurgeCache), Some("CachePurge") => Some("CachePurged"), false,
        "Forgets what is kept of a method, or of all", look::purge;
    GET "/namespaces/{namespace}/members", In(ReadMembers), None => Some("Members"), false,
        "Who holds which role", members::list;
    PUT "/namespaces/{namespace}/members/{who}", In(WriteMembers), Some("MemberRole") => None, false,
        "Gives somebody a role", members::set;
    DELETE "/namespaces/{namespace}/members/{who}", In(WriteMembers), None => None, false,
        "Takes a role away", members::remove;
    GET "/namespaces/{namespace}/keys", In(ListKeys), None => Some("Keys"), false,
        "The API keys of callers", credentials::keys;
    POST "/namespaces/{namespace}/keys", In(WriteKey), Some("NewKey") => Some("NewCredential"), false,
        "Makes an API key; the only time that it is shown", credentials::new_key;
    DELETE "/namespaces/{namespace}/keys/{id}", In(WriteKey), None => None, false,
        "Revokes an API key", credentials::revoke_key;
    GET "/namespaces/{namespace}/secrets", In(ListSecrets), None => Some("Secrets"), false,
        "The secrets by name and fingerprint", secrets::list;
    PUT "/namespaces/{namespace}/secrets/{name}", In(WriteSecret), Some("SecretValue") => None, false,
        "Sets a secret; nobody reads it back", secrets::set;
    DELETE "/namespaces/{namespace}/secrets/{name}", In(WriteSecret), None => None, false,
        "Takes a secret away", secrets::remove;
    GET "/namespaces/{namespace}/audit", In(ReadAudit), None => Some("Audit"), false,
        "Who did what, the newest first", audit::list;
    GET "/namespaces/{namespace}/audit/verify", In(ReadAudit), None => Some("AuditVerified"), false,
        "Whether the chain holds", audit::verify;
    GET "/audit", OfPlatform(ReadAudit), None => Some("Audit"), false,
        "Who did what to the platform", audit::list;
    GET "/audit/verify", OfPlatform(ReadAudit), None => Some("AuditVerified"), false,
        "Whether the platform's chain holds", audit::verify;
    GET "/platform", OfPlatform(ReadGrants), None => Some("Namespace"), false,
        "The platform's live document", teams::platform;
    POST "/platform/publish", OfPlatform(WriteGrants), Some("Publication") => Some("Published"), true,
        "Makes a document the platform's live one", teams::publish_platform;
    GET "/tokens", OfPlatform(ListTokens), None => Some("Tokens"), false,
        "The tokens of this API", credentials::tokens;
    POST "/tokens", OfPlatform(WriteToken), Some("NewToken") => Some("NewCredential"), false,
        "Makes a token; the only time that it is shown", credentials::new_token;
    DELETE "/tokens/{id}", OfPlatform(WriteToken), None => None, false,
        "Revokes a token", credentials::revoke_token;
}
