//! One implementation as a process: started, asked, killed, started again on the same data.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tonic::transport::{Channel, Endpoint};

use crate::Fault;
use crate::admin::case_admin_client::CaseAdminClient;
use crate::admin::{ExportRequest, Record, ResetRequest, StateDigestRequest, StateDigestResponse};
use crate::contract::catalogue_client::CatalogueClient;
use crate::runtime::runtime_client::RuntimeClient;

/// A service ends within its drain of ten seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// An implementation that can be started.
#[derive(Debug, Clone)]
pub struct Program {
    pub name: String,
    pub path: PathBuf,
}

/// An implementation that runs. Dropped, it is killed.
pub struct Side {
    pub name: String,
    program: Program,
    data: PathBuf,
    sync: &'static str,
    child: Child,
    pub calls: CatalogueClient<Channel>,
    pub admin: CaseAdminClient<Channel>,
    /// What the process says of itself, on the port of its administration.
    pub figures: RuntimeClient<Channel>,
    /// The address of the plain REST face.
    pub rest: String,
}

impl Side {
    /// Starts `program` on a folder of `folder`; its clock is that of the calls.
    pub async fn start(
        program: &Program,
        folder: &Path,
        sync: &'static str,
    ) -> Result<Side, Fault> {
        let data = folder.join(&program.name);
        let Running { child, calls, admin, figures, rest } = spawn(program, &data, sync).await?;
        let (name, program) = (program.name.clone(), program.clone());
        Ok(Side { name, program, data, sync, child, calls, admin, figures, rest })
    }

    async fn again(&mut self) -> Result<(), Fault> {
        let Running { child, calls, admin, figures, rest } =
            spawn(&self.program, &self.data, self.sync).await?;
        (self.child, self.calls, self.admin) = (child, calls, admin);
        (self.figures, self.rest) = (figures, rest);
        Ok(())
    }

    /// kill -9.
    pub async fn kill(&mut self) -> Result<(), Fault> {
        Ok(self.child.kill().await?)
    }

    /// kill -9, and a new life on the same data.
    pub async fn kill_and_start(&mut self) -> Result<(), Fault> {
        self.kill().await?;
        self.again().await
    }

    /// SIGTERM; gives how it ended.
    pub async fn terminate(&mut self) -> Result<std::process::ExitStatus, Fault> {
        let id = self.child.id().ok_or("it has ended")?.to_string();
        Command::new("kill").args(["-TERM", &id]).status().await?;
        Ok(tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await??)
    }

    /// A new life on the same data, after [`Side::terminate`] or [`Side::kill`].
    pub async fn start_again(&mut self) -> Result<(), Fault> {
        self.again().await
    }

    pub async fn digest(&mut self) -> Result<StateDigestResponse, Fault> {
        Ok(self.admin.state_digest(StateDigestRequest {}).await?.into_inner())
    }

    pub async fn reset(&mut self, request: ResetRequest) -> Result<(), Fault> {
        self.admin.reset(request).await?;
        Ok(())
    }

    pub async fn export(&mut self) -> Result<Vec<Record>, Fault> {
        let mut stream = self.admin.export(ExportRequest {}).await?.into_inner();
        let mut records = Vec::new();
        while let Some(record) = stream.message().await? {
            records.push(record);
        }
        Ok(records)
    }

    pub async fn import(&mut self, records: Vec<Record>) -> Result<i64, tonic::Status> {
        let records = tokio_stream(records);
        Ok(self.admin.import(records).await?.into_inner().sequence)
    }
}

fn tokio_stream(records: Vec<Record>) -> impl tonic::IntoStreamingRequest<Message = Record> {
    tonic::Request::new(tokio_stream::iter(records))
}

struct Running {
    child: Child,
    calls: CatalogueClient<Channel>,
    admin: CaseAdminClient<Channel>,
    figures: RuntimeClient<Channel>,
    rest: String,
}

async fn spawn(program: &Program, data: &Path, sync: &str) -> Result<Running, Fault> {
    let mut child = Command::new(&program.path)
        .args(["--test-clock", "--rest", "127.0.0.1:0", "--sync", sync, "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{}: {error}", program.path.display()))?;
    let mut line = String::new();
    let out = child.stdout.take().ok_or("its output is piped")?;
    BufReader::new(out).read_line(&mut line).await?;
    let ready: serde_json::Value = serde_json::from_str(&line)
        .map_err(|_error| format!("{} did not start: {line}", program.name))?;
    let address = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
    let endpoint = |key: &str| Endpoint::from_shared(format!("http://{}", address(key)));
    let calls = CatalogueClient::new(endpoint("listen")?.connect().await?);
    let beside = endpoint("admin")?.connect_lazy();
    let admin = CaseAdminClient::new(beside.clone()).max_decoding_message_size(64 << 20);
    Ok(Running { child, calls, admin, figures: RuntimeClient::new(beside), rest: address("rest") })
}
