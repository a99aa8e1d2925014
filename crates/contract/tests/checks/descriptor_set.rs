//! Any bytes end in a contract that keeps its promises, or in faults.

use tandem_contract::compat::changes;
use tandem_contract::{Cardinality, Contract, Kind};

/// Fails when a contract refers to something that it does not have.
pub(crate) fn check(data: &[u8]) {
    let contract = match Contract::from_descriptor_set(data) {
        Ok(contract) => contract,
        Err(faults) => return assert!(!faults.0.is_empty()),
    };
    for fault in contract.faults() {
        assert!(!fault.what.is_empty() && !fault.fix.is_empty(), "{fault}");
    }
    assert_eq!(changes(&contract, &contract), []);
    for service in contract.services() {
        assert!(contract.service_digest(&service.full_name).is_some());
    }
    for (_, method) in contract.methods() {
        for id in [method.input, method.output] {
            let message = contract.message(id);
            assert!(!message.map_entry);
            assert_eq!(contract.message_named(&message.full_name), Some(id));
            for field in &message.fields {
                assert!((1..1 << 29).contains(&field.number));
                assert!(field.oneof.is_none_or(|oneof| (oneof as usize) < message.oneofs.len()));
                let place = message.field_numbered(field.number).expect("by its number").0;
                assert_eq!(message.field_named(&field.json_name).expect("by its name").0, place);
                match field.kind {
                    Kind::Enum(id) => drop(contract.enumeration(id).default()),
                    kind => drop(kind.message().map(|id| contract.message(id))),
                }
                if field.cardinality == Cardinality::Map {
                    let entry = contract.message(field.kind.message().expect("an entry"));
                    assert!(entry.field_numbered(1).is_some() && entry.field_numbered(2).is_some());
                }
            }
        }
    }
}
