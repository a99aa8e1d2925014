use super::call::{Answer, Call};
use super::refusal::Refusal;
pub(super) async fn list(call: Call) -> Result<Answer, Refusal> {
    let _ = call;
    Err(Refusal::no_store())
}
pub(super) async fn show(call: Call) -> Result<Answer, Refusal> {
    let _ = call;
    Err(Refusal::no_store())
}
pub(super) async fn change(call: Call) -> Result<Answer, Refusal> {
    let _ = call;
    Err(Refusal::no_store())
}
pub(super) async fn versions(call: Call) -> Result<Answer, Refusal> {
    let _ = call;
    Err(Refusal::no_store())
}
pub(super) async fn roll_back(call: Call) -> Result<Answer, Refusal> {
    let _ = call;
    Err(Refusal::no_store())
}
