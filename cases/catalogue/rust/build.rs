//! Compiles the contract.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    case_protos::compile(&[
        "tandem/cases/catalogue/v1/contract.proto",
        "tandem/cases/catalogue/v1/record.proto",
    ])
}
