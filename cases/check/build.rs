//! Compiles the contracts that are driven.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    case_protos::compile(&[
        "tandem/cases/admin/v1/admin.proto",
        "tandem/cases/catalogue/v1/contract.proto",
        "tandem/cases/catalogue/v1/record.proto",
        "tandem/runtime/v1/runtime.proto",
        "google/rpc/error_details.proto",
        "google/rpc/status.proto",
    ])
}
