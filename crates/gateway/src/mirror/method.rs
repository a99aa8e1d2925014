//! One method's calls as they are copied: the leave for it, whom the copies go to, how many.
//!
//! Made with each snapshot from the contract that serves, whatever was checked before: without a
//! [`Leave`] there is none of these, and without one of these there is no copy.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, header};
use tandem_config::document::{Credentials, HealthCheck, Leave, OrderBy, Writes};
use tandem_contract::MethodKind;
use tandem_judge::pair::Abandoned;
use tandem_transcode::Projection;

use super::Way;
use super::counts::MirrorCounts;
use super::pairs::Evidence;
use super::room::Room;
use super::sample::Sampler;
use crate::observe::UpstreamCounters;
use crate::upstream::{Upstream, Windows};

/// What holds for the copies of one method.
pub(crate) struct MethodMirror {
    pub(super) leave: Leave,
    /// `package.Service/Method`.
    pub(super) method: Arc<str>,
    pub(super) path: PathAndQuery,
    pub(super) kind: MethodKind,
    pub(super) candidate: Arc<Upstream>,
    /// The second primary, or the primary a second time.
    pub(super) twin: Option<Arc<Upstream>>,
    /// What the key of the order begins with: namespace, service, upstream.
    pub(super) scope: Vec<u8>,
    /// The field that the order goes by; `None` with an order is the whole service.
    pub(super) order: Option<Projection>,
    pub(super) sampler: Sampler,
    pub(super) room: Arc<Room>,
    pub(super) counts: Arc<MirrorCounts>,
    pub(super) evidence: Arc<Evidence>,
    pub(super) way: Way,
}

/// Headers of a caller that are taken out of a copy unless its team says otherwise. Who he is, as
/// the gateway tells services, is no credential.
const CREDENTIALS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
];

impl MethodMirror {
    /// Whether a call with these headers is to be copied.
    pub(super) fn takes(&self, headers: &HeaderMap) -> bool {
        self.sampler.takes(headers)
    }

    /// A copy of the headers of a request, without what is the caller's alone.
    pub(super) fn headers(&self, headers: &HeaderMap) -> HeaderMap {
        let mut copy = headers.clone();
        if self.leave.rules().credentials == Credentials::Strip {
            for name in CREDENTIALS {
                copy.remove(name);
            }
            // Services behind frameworks cannot tell names apart that differ by `_` for `-`.
            let twins: Vec<HeaderName> = copy
                .keys()
                .filter(|name| {
                    let text = name.as_str();
                    text.contains('_')
                        && CREDENTIALS.iter().any(|one| *one.as_str() == text.replace('_', "-"))
                })
                .cloned()
                .collect();
            for name in twins {
                copy.remove(name);
            }
        }
        copy
    }

    pub(super) fn has_order(&self) -> bool {
        let rules = self.leave.rules();
        rules.writes == Writes::Isolated && rules.order_by.is_some()
    }

    pub(super) fn orders_by_service(&self) -> bool {
        self.leave.rules().order_by == Some(OrderBy::Service)
    }

    pub(super) fn dropped(&self, reason: Abandoned) {
        self.counts.dropped(reason);
    }
}

/// An upstream as copies reach it: by connections of their own, left out for nothing, asked after
/// by nobody, counted nowhere among the calls of callers.
pub(super) fn for_copies(upstream: &Upstream) -> Arc<Upstream> {
    Arc::new(Upstream {
        health: HealthCheck::None,
        eject: false,
        counters: UpstreamCounters::unread(),
        windows: Windows::COPIES,
        ..upstream.clone()
    })
}
