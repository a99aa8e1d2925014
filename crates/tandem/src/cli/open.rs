//! `tandem open`: a link to the page that signs its first user in.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::AdminArguments;
use crate::client::Made;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The screen: a path of the page, `/t/shop`.
    #[arg(default_value = "/")]
    screen: String,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) async fn open(
    arguments: Arguments,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let Arguments { screen, admin } = arguments;
    let good = screen.starts_with('/') && screen.bytes().all(|byte| byte.is_ascii_graphic());
    if !good || screen.contains('#') {
        return Err(Failure::new(Exit::Usage, "this is no path of the page")
            .at(screen.escape_debug().to_string())
            .fix("write `/`, `/t/NAMESPACE` or `/m/SERVICE/METHOD`"));
    }
    let client = admin.client(timeout)?;
    let told = client.send("POST", "/api/v1/links", None, &Made::Anyhow).await?;
    let link = told["link"].as_str().unwrap_or_default();
    // Behind `#` it is in no log of any server.
    let url = format!("http://{}{screen}#link={link}", client.address);
    match form {
        Form::Json => output::data(&json!({ "url": url, "expires": told["expires"] }).to_string()),
        Form::Text => output::data(&url),
    }
    Ok(Exit::Fine)
}
