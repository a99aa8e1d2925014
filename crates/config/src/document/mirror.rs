//! What a team says about copying calls to a candidate: the keys `candidate` and `mirror`.
//!
//! Whether the calls of a method may be copied at all is decided in one place,
//! [`MirrorRules::leave`]: what it gives, a [`Leave`], nobody else can make, and whoever sends
//! copies asks for one. So a copy that may not be made cannot be written down (compare M-1).
//!
//! Not here: the sentences about what is refused (`crate::check`), who copies (`tandem-gateway`).

use std::collections::BTreeMap;

use tandem_contract::Idempotency;

use super::namespace::Upstream;
use super::units::Share;

/// `mirror` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// `none`
    None,
    Copied(MirrorRules),
}

/// Which calls of a method are copied, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorRules {
    /// Part of the calls.
    pub share: Share,
    /// `max_rate`: copies a second at most, over all methods for which the line holds. The lower
    /// of share and rate counts. `None`: no bound of its own.
    pub rate_max: Option<u32>,
    /// The upstream that the copies go to; `None`: the method's candidate.
    pub to: Option<String>,
    pub twin: TwinRule,
    pub writes: Writes,
    /// What keeps the order of a stateful service; it goes with [`Writes::Isolated`].
    pub order_by: Option<OrderBy>,
    /// Calls with the same key are copied all or not at all.
    pub by_key: Option<SampleKey>,
    pub credentials: Credentials,
    /// Whether a few differences are kept with their values.
    pub samples: bool,
}

/// Who tells noise from difference (compare N-9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TwinRule {
    /// Nobody wrote one: a method without side effects is asked of the primary once more.
    Unwritten,
    /// `none`: declared rules alone.
    None,
    /// A second instance of the primary's build.
    Named(String),
}

/// What becomes of calls that may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    Refuse,
    /// Copied to upstreams with data of their own.
    Isolated,
}

/// Copies of one key are delivered one after the other, in the primary's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderBy {
    /// `"*"`: the whole service is one key.
    Service,
    /// A field of the request.
    Field(String),
}

/// What the choice of calls depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SampleKey {
    /// Who calls.
    Principal,
    /// The values of a header, its name in lower case.
    Header(String),
}

/// What becomes of the caller's credentials in a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    Strip,
    Forward,
}

impl MirrorRules {
    /// Copies a second where nobody wrote another rate, and writes are not copied.
    pub const RATE: u32 = 100;

    /// The key that leaves some calls out, if one does.
    pub fn part(&self) -> Option<&'static str> {
        let keys = [
            ("share", self.share != Share::ALL),
            ("max_rate", self.rate_max.is_some()),
            ("by_key", self.by_key.is_some()),
        ];
        keys.into_iter().find(|(_, part)| *part).map(|(key, _)| key)
    }

    /// Leave to copy the calls of a method with this idempotency, whose callers `primary` answers
    /// and whose candidate is `candidate`.
    ///
    /// # Errors
    /// The one reason why not.
    pub fn leave(
        &self,
        idempotency: Idempotency,
        primary: Option<&str>,
        candidate: Option<&str>,
        upstreams: &BTreeMap<String, Upstream>,
    ) -> Result<Leave, Forbidden> {
        let to = self.to.as_deref().or(candidate).ok_or(Forbidden::NoCandidate)?;
        let known = |name: &str| {
            upstreams.get(name).ok_or_else(|| Forbidden::UnknownUpstream(name.to_owned()))
        };
        let reads = idempotency == Idempotency::NoSideEffects;
        let mut sides = vec![(to, known(to)?)];
        if let TwinRule::Named(twin) = &self.twin {
            sides.push((twin, known(twin)?));
        }
        let isolated = self.writes == Writes::Isolated;
        if !reads && !isolated {
            return Err(Forbidden::Writes);
        }
        if isolated {
            let served = primary.map(known).transpose()?;
            for (name, side) in &sides {
                if !side.isolated {
                    return Err(Forbidden::NotIsolated((*name).to_owned()));
                }
                let shares = |served: &Upstream| {
                    served.addresses.iter().any(|address| side.addresses.contains(address))
                };
                if Some(*name) == primary || served.is_some_and(shares) {
                    return Err(Forbidden::IsThePrimary((*name).to_owned()));
                }
            }
            if !reads && self.part().is_some() {
                return Err(Forbidden::InPart);
            }
            if self.order_by.is_none() {
                return Err(Forbidden::NoOrder);
            }
        }
        let twin = match &self.twin {
            TwinRule::Named(name) => TwinAsked::Named(name.clone()),
            // To ask the primary again is to call it: only where that does nothing.
            TwinRule::Unwritten if reads && !isolated => TwinAsked::PrimaryAgain,
            TwinRule::Unwritten | TwinRule::None => TwinAsked::Nobody,
        };
        Ok(Leave { to: to.to_owned(), twin, writes: !reads, rules: self.clone() })
    }
}

/// Leave to copy the calls of one method. [`MirrorRules::leave`] alone gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    to: String,
    twin: TwinAsked,
    writes: bool,
    rules: MirrorRules,
}

/// Whom a twin's copies go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TwinAsked {
    /// Nobody: declared rules alone tell noise.
    Nobody,
    /// The primary, a second time.
    PrimaryAgain,
    Named(String),
}

impl Leave {
    /// The upstream that the copies go to.
    pub fn to(&self) -> &str {
        &self.to
    }

    pub fn twin(&self) -> &TwinAsked {
        &self.twin
    }

    /// Whether the calls may do something, so that each has a place in the order.
    pub fn writes(&self) -> bool {
        self.writes
    }

    pub fn rules(&self) -> &MirrorRules {
        &self.rules
    }
}

/// Why the calls of a method are not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forbidden {
    /// Neither `mirror.to` nor `candidate` names anybody.
    NoCandidate,
    UnknownUpstream(String),
    /// The method may do something, and nobody wrote that its copies go to data of their own.
    Writes,
    /// The upstream has not promised data of its own.
    NotIsolated(String),
    /// The upstream is the primary, or stands where it stands.
    IsThePrimary(String),
    /// Copies of writes have no order.
    NoOrder,
    /// Some calls of a stateful service would be copied and others not.
    InPart,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::HealthCheck;
    use crate::document::units::parse_address;
    use std::time::Duration;

    fn upstream(port: u16, isolated: bool) -> Upstream {
        Upstream {
            addresses: vec![parse_address(&format!("10.0.0.1:{port}")).unwrap()],
            connections: 1,
            connect: Duration::from_secs(1),
            message_bytes_max: 1,
            health: HealthCheck::None,
            eject: true,
            isolated,
            loopback: false,
            own_listeners: [].into(),
            tls: None,
        }
    }

    /// Every method and every combination of options: a write leaves only towards upstreams with
    /// data of their own, whole, and in an order.
    #[test]
    fn compare_t_10_no_combination_of_options_gives_leave_to_copy_a_write_to_shared_data() {
        let upstreams = BTreeMap::from([
            ("serves".to_owned(), upstream(1, false)),
            ("shared".to_owned(), upstream(2, false)),
            ("own".to_owned(), upstream(3, true)),
            ("own-too".to_owned(), upstream(4, true)),
            // It promises data of its own, and is the primary by its address.
            ("liar".to_owned(), upstream(1, true)),
        ]);
        let names = ["serves", "shared", "own", "own-too", "liar", "nobody"];
        let sides = || std::iter::once(None).chain(names.map(|name| Some(name.to_owned())));
        let (mut given, mut refused) = (0, 0);
        for idempotency in
            [Idempotency::Unknown, Idempotency::Idempotent, Idempotency::NoSideEffects]
        {
            for (to, candidate) in sides().flat_map(|to| sides().map(move |one| (to.clone(), one)))
            {
                for twin in [TwinRule::Unwritten, TwinRule::None]
                    .into_iter()
                    .chain(names.map(|name| TwinRule::Named(name.to_owned())))
                {
                    for bits in 0..64_u32 {
                        let bit = |place: u32| bits >> place & 1 == 1;
                        let rules = MirrorRules {
                            share: if bit(0) { Share::ALL } else { Share::NONE },
                            rate_max: bit(1).then_some(5),
                            to: to.clone(),
                            twin: twin.clone(),
                            writes: if bit(2) { Writes::Isolated } else { Writes::Refuse },
                            order_by: bit(3).then_some(OrderBy::Service),
                            by_key: bit(4).then_some(SampleKey::Principal),
                            credentials: Credentials::Strip,
                            samples: bit(5),
                        };
                        let candidate = candidate.as_deref();
                        let leave = rules.leave(idempotency, Some("serves"), candidate, &upstreams);
                        let Ok(leave) = leave else {
                            refused += 1;
                            continue;
                        };
                        given += 1;
                        assert!(upstreams.contains_key(leave.to()));
                        if idempotency == Idempotency::NoSideEffects {
                            assert!(!leave.writes());
                            continue;
                        }
                        let sides = match leave.twin() {
                            TwinAsked::Named(twin) => vec![leave.to(), twin],
                            TwinAsked::Nobody => vec![leave.to()],
                            TwinAsked::PrimaryAgain => panic!("a write is never carried out twice"),
                        };
                        assert!(sides.iter().all(|side| ["own", "own-too"].contains(side)));
                        assert!(leave.rules().order_by.is_some());
                        assert_eq!(
                            (leave.rules().share, leave.rules().rate_max),
                            (Share::ALL, None)
                        );
                        assert!(leave.writes());
                    }
                }
            }
        }
        assert!(given > 1_000 && refused > 1_000, "{given} {refused}");
    }
}
