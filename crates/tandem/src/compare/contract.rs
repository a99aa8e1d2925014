//! What is compared: methods that both sides promise in the same words.
//!
//! Each side is asked by reflection; where `--contract` is given it holds, and whoever reflects
//! must agree with it. Sides that promise different things are not compared: no common part is
//! guessed.
//!
//! Not here: the differences between two contracts (`cli::contract`).

use std::path::Path;
use std::sync::Arc;

use tandem_config::Tnd;
use tandem_contract::{Contract, Idempotency, Method};
use tandem_gateway::upstream::Upstream;
use tandem_gateway::upstream::reflection::{self, Reflected, ReflectionError};
use tandem_transcode::Plans;

use crate::cli::{contract_from_file, find_method};
use crate::failure::{Exit, Failure};

/// What both sides promise.
pub(crate) struct Agreed {
    pub(crate) plans: Arc<Plans>,
    pub(crate) methods: Vec<Method>,
    /// Methods that `*` would name and that are not compared, with the reason.
    pub(crate) left_out: Vec<String>,
    /// Sides whose word had to be taken: `--contract` was given, and they do not reflect.
    pub(crate) unasked: Vec<String>,
}

/// Asks both sides, and finds the methods that `asked` names.
///
/// # Errors
/// No reflection where it is needed (TND0205), different contracts (TND0206), methods that are
/// not there, or have side effects without a hook (TND0604).
pub(crate) async fn agreed(
    asked: &[String],
    sides: [(&str, &Upstream); 2],
    given: Option<&Path>,
    has_hook: bool,
) -> Result<Agreed, Failure> {
    let given = given.map(contract_from_file).transpose()?.map(|(contract, _)| contract);
    let (mut reflected, mut unasked) = (Vec::new(), Vec::new());
    for (name, upstream) in sides {
        match reflection::fetch(upstream).await {
            Ok(Reflected { files, .. }) => reflected.push((name, Arc::new(usable(name, &files)?))),
            Err(ReflectionError::NotOffered { .. }) if given.is_some() => {
                unasked.push(name.to_owned());
            }
            Err(error) => return Err(not_reflected(name, &error)),
        }
    }
    let held = given.or_else(|| reflected.first().map(|(_, contract)| Arc::clone(contract)));
    let contract = held.expect("a side without reflection needs `--contract`, as said above");
    let (methods, left_out) = chosen(&contract, asked, has_hook)?;
    for method in &methods {
        let digest = contract.service_digest(&method.service);
        let other =
            reflected.iter().find(|(_, other)| other.service_digest(&method.service) != digest);
        if let Some((name, other)) = other {
            return Err(different(name, other, method));
        }
    }
    Ok(Agreed { plans: Arc::new(Plans::new(contract)), methods, left_out, unasked })
}

fn usable(name: &str, files: &[Vec<u8>]) -> Result<Contract, Failure> {
    Contract::from_file_descriptors(files).map_err(|faults| {
        Failure::new(Exit::Failed, format!("the contract of `{name}` cannot be used"))
            .coded(Tnd::ContractUnusable)
            .because(faults.to_string())
            .fix("correct the service's descriptors; `buf build` says the same of them")
    })
}

fn not_reflected(name: &str, error: &ReflectionError) -> Failure {
    match error {
        ReflectionError::Unreachable { .. } => {
            Failure::new(Exit::Unreachable, format!("`{name}` does not answer"))
                .coded(Tnd::Unreachable)
                .because(error.to_string())
                .fix("start the service, or correct its address")
        }
        ReflectionError::NotOffered { .. } | ReflectionError::Unusable { .. } => {
            Failure::new(Exit::Failed, format!("`{name}` does not say what it serves"))
                .coded(Tnd::NoReflection)
                .because(error.to_string())
                .fix("register reflection in the service, or give `--contract FILE`")
        }
    }
}

fn different(name: &str, other: &Contract, method: &Method) -> Failure {
    let service = &method.service;
    let why = match other.service_digest(service) {
        None => format!("`{name}` does not serve {service}"),
        Some(_) => format!("`{name}` has other methods or types in {service} than the other side"),
    };
    Failure::new(Exit::Failed, "the sides have different contracts")
        .coded(Tnd::DifferentContracts)
        .because(why)
        .fix("`tandem contract diff ADDR ADDR` names every difference; compare builds of one contract")
}

fn chosen(
    contract: &Contract,
    asked: &[String],
    has_hook: bool,
) -> Result<(Vec<Method>, Vec<String>), Failure> {
    let (mut methods, mut left_out): (Vec<Method>, Vec<String>) = (Vec::new(), Vec::new());
    for text in asked {
        let Some(service) = text.strip_suffix("/*") else {
            let method = find_method(contract, text)?;
            if let Some(failure) = refused(method, has_hook) {
                return Err(failure);
            }
            methods.push(method.clone());
            continue;
        };
        let is_it = |full: &str| {
            full.strip_suffix(service).is_some_and(|left| left.is_empty() || left.ends_with('.'))
        };
        let of_service: Vec<&Method> =
            contract.methods().map(|(_, it)| it).filter(|it| is_it(&it.service)).collect();
        if of_service.is_empty() {
            // Says what there is instead.
            find_method(contract, text)?;
        }
        for method in of_service {
            match refused(method, has_hook) {
                Some(why) => left_out.push(format!("{}: {}", method.full_name(), why.what)),
                None => methods.push(method.clone()),
            }
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    methods.retain(|method| seen.insert(method.path.clone()));
    if methods.is_empty() {
        let why = left_out.join("; ");
        return Err(side_effects(&asked.join(", ")).because(why));
    }
    Ok((methods, left_out))
}

/// Why a method cannot be compared.
fn refused(method: &Method, has_hook: bool) -> Option<Failure> {
    let name = method.full_name();
    let has_effects = method.idempotency != Idempotency::NoSideEffects;
    (has_effects && !has_hook).then(|| side_effects(name))
}

fn side_effects(name: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{name} may have side effects"))
        .coded(Tnd::SideEffects)
        .because("it does not declare idempotency_level = NO_SIDE_EFFECTS")
        .fix("name a command that sets both sides to one state: `--stateful HOOK`")
}
