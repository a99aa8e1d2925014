//! Services and their methods, once all types are known.
//!
//! Not here: what an HTTP rule may say (`http_rule`).

use std::collections::HashSet;
use std::sync::Arc;

use buffa::Message as _;
use buffa_descriptor::features::ResolvedFeatures;
use buffa_descriptor::generated::descriptor::method_options::IdempotencyLevel;
use buffa_descriptor::generated::descriptor::{MethodDescriptorProto, ServiceDescriptorProto};

use super::build::{Builder, FIX_ONCE, NAME_BYTES_MOST, Scope, is_identifier};
use super::field::cut;
use super::{ContractFault, FIX_SET, fault};
use crate::http_rule;
use crate::types::{Idempotency, MessageId, Method, MethodId, MethodKind, Service};

impl Builder {
    pub(super) fn service(
        &mut self,
        file: &Arc<str>,
        package: &str,
        proto: &ServiceDescriptorProto,
    ) {
        let name = proto.name.as_deref().unwrap_or("");
        let scope = Scope { file, name: package, features: ResolvedFeatures::proto3_defaults() };
        let Some(full_name) = self.new_name(scope, name) else { return };
        if !self.service_names.insert(full_name.as_str().into()) {
            self.faults.add(fault(file, &full_name, "it is declared twice", FIX_ONCE));
            return;
        }
        let mut ids: Vec<MethodId> = Vec::new();
        let mut seen = HashSet::new();
        for method in &proto.method {
            let name = method.name.as_deref().unwrap_or("");
            if !is_identifier(name) || full_name.len() + name.len() > NAME_BYTES_MOST {
                let what = format!("`{}` is no name of a method", cut(name));
                self.faults.add(fault(file, &full_name, what, FIX_SET));
            } else if !seen.insert(name) {
                let symbol = format!("{full_name}/{name}");
                self.faults.add(fault(file, &symbol, "it is declared twice", FIX_ONCE));
            } else if let Some(method) = self.method(file, &full_name, method) {
                ids.push(MethodId(self.methods.len() as u32));
                self.methods.push(method);
            }
        }
        self.services.push(Service {
            full_name: full_name.into(),
            methods: ids,
            file: (**file).into(),
        });
    }

    fn method(
        &mut self,
        file: &str,
        service: &str,
        proto: &MethodDescriptorProto,
    ) -> Option<Method> {
        let name = proto.name.as_deref().unwrap_or("");
        let full_name = format!("{service}/{name}");
        // Both before either is missed, so that both are named.
        let input = self.type_of(file, &full_name, proto.input_type.as_deref());
        let output = self.type_of(file, &full_name, proto.output_type.as_deref());
        let (input, output) = (input?, output?);
        let kind = match (
            proto.client_streaming.unwrap_or(false),
            proto.server_streaming.unwrap_or(false),
        ) {
            (false, false) => MethodKind::Unary,
            (true, false) => MethodKind::ClientStream,
            (false, true) => MethodKind::ServerStream,
            (true, true) => MethodKind::Bidi,
        };
        let options = proto.options.as_option();
        let idempotency = match options.and_then(|options| options.idempotency_level) {
            Some(IdempotencyLevel::NO_SIDE_EFFECTS) => Idempotency::NoSideEffects,
            Some(IdempotencyLevel::IDEMPOTENT) => Idempotency::Idempotent,
            Some(IdempotencyLevel::IDEMPOTENCY_UNKNOWN) | None => Idempotency::Unknown,
        };
        let rules = match options {
            Some(options) => {
                // The library keeps extensions that it does not know as bytes (protocols X-2).
                let (rules, faults) =
                    http_rule::of_options(&options.encode_to_vec(), &self.messages, input, output);
                for (column, what, fix) in faults {
                    let fix = if fix.is_empty() { "correct the rule" } else { &fix };
                    self.faults.add(ContractFault { column, ..fault(file, &full_name, what, fix) });
                }
                rules
            }
            None => Vec::new(),
        };
        Some(Method {
            name: name.into(),
            service: service.into(),
            path: format!("/{full_name}").into(),
            input,
            output,
            kind,
            idempotency,
            rules,
            deprecated: options.is_some_and(|options| options.deprecated.unwrap_or(false)),
        })
    }

    fn type_of(&mut self, file: &str, method: &str, type_name: Option<&str>) -> Option<MessageId> {
        let type_name = type_name.unwrap_or("").trim_start_matches('.');
        let found = self.message_names.get(type_name).copied();
        match found {
            Some(id) if !self.messages[id.0 as usize].map_entry => return Some(id),
            Some(_) => {
                let what = format!("its type `{type_name}` is the entry of a map");
                self.faults.add(fault(file, method, what, FIX_SET));
            }
            None => {
                let what = format!("its type `{}` is not in the contract", cut(type_name));
                self.faults.add(fault(file, method, what, FIX_SET));
            }
        }
        None
    }
}
