//! Compiles the contract of administration and the types of errors.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    case_protos::compile(&[
        "tandem/cases/admin/v1/admin.proto",
        "google/rpc/error_details.proto",
        "google/rpc/status.proto",
    ])
}
