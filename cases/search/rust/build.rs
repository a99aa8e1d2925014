//! Compiles the contract.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    case_protos::compile(&["tandem/cases/search/v1/contract.proto"])
}
