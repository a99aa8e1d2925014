//! A service's own settings, pushed to it by a Tandem gateway.
//!
//! ```ignore
//! let options = Options { file: Some("settings".into()), ..Options::new("catalogue-1") };
//! let settings = Settings::<CatalogueSettings>::watch(
//!     "http://127.0.0.1:8081", "shop.catalogue.v1.Catalogue", options)?;
//! let discount = settings.current().max_discount_percent();
//! ```
//!
//! Values are there from the first moment: those of the file, where there is one, or the defaults
//! of the message. Without the gateway a service goes on by the last that it had.

mod file;
mod rollout;

/// Types made from `tandem/settings/v1/settings.proto`.
#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
pub mod protos;

pub use rollout::is_on;

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use prost::Message;
use tokio::task::AbortHandle;
use tonic::transport::{Channel, Endpoint, Error};

use file::Kept;
use protos::report_request::Outcome;
use protos::settings_client::SettingsClient;
use protos::{Applied, Refused, ReportRequest, Snapshot, WatchRequest};

/// Asked whether values may come into force, before they do; a reason refuses them. It runs where
/// the stream is read: quick, and without blocking.
pub type OnChange<M> = Box<dyn Fn(&M) -> Result<(), String> + Send + Sync>;

/// How values are watched.
pub struct Options<M> {
    /// Names this process among the instances of its service: 1 to 128 of `[A-Za-z0-9._:-]`.
    pub instance: String,
    /// Where the last values are kept, and started from when the gateway is not there.
    pub file: Option<PathBuf>,
    /// Told of each change, and may refuse it.
    pub on_change: Option<OnChange<M>>,
}

impl<M> Options<M> {
    /// No file, and every change is taken.
    pub fn new(instance: impl Into<String>) -> Options<M> {
        Options { instance: instance.into(), file: None, on_change: None }
    }
}

/// The settings of one service; watched until the last clone is dropped.
#[derive(Clone)]
pub struct Settings<M> {
    state: Arc<State<M>>,
    _watching: Arc<Watching>,
}

struct Watching(AbortHandle);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct State<M> {
    service: String,
    options: Options<M>,
    current: ArcSwap<M>,
    /// What `current` came from; `None` for the defaults.
    kept: ArcSwapOption<Kept>,
    /// When the gateway was last there; `None` while it is.
    lost: ArcSwapOption<SystemTime>,
    trouble: ArcSwapOption<String>,
}

const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(5);
const ALIVE: Duration = Duration::from_secs(20);

impl<M: Message + Default + 'static> Settings<M> {
    /// Watches the settings of `service`, a full name, at the gateway's internal listener, for
    /// example `http://127.0.0.1:8081`. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// An endpoint that is no URI. A gateway that is not there is waited for.
    pub fn watch(
        endpoint: impl Into<String>,
        service: impl Into<String>,
        options: Options<M>,
    ) -> Result<Settings<M>, Error> {
        let channel = Endpoint::from_shared(endpoint.into())?
            .http2_keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .connect_timeout(BACKOFF_MOST)
            .connect_lazy();
        let state = Arc::new(State::start(service.into(), options));
        let watching = tokio::spawn(Arc::clone(&state).run(SettingsClient::new(channel)));
        Ok(Settings { state, _watching: Arc::new(Watching(watching.abort_handle())) })
    }

    /// The values in force. Reading takes no lock.
    pub fn current(&self) -> Arc<M> {
        self.state.current.load_full()
    }

    /// The version that the values in force came with; `None` for the defaults.
    pub fn version(&self) -> Option<u64> {
        self.state.kept.load().as_ref().map(|kept| kept.version)
    }

    /// For how long the gateway has not confirmed the values in force: 0 while it is there, from
    /// the file on when they came from one, `None` for defaults that it never confirmed.
    pub fn age(&self) -> Option<Duration> {
        match &*self.state.lost.load() {
            Some(lost) => {
                self.state.kept.load().as_ref()?;
                Some(lost.elapsed().unwrap_or_default())
            }
            None => Some(Duration::ZERO),
        }
    }

    /// What went wrong last: the gateway is not there, the file cannot be read or written. `None`
    /// while all is well.
    pub fn trouble(&self) -> Option<Arc<String>> {
        self.state.trouble.load_full()
    }
}

impl<M: Message + Default + 'static> State<M> {
    fn start(service: String, options: Options<M>) -> State<M> {
        let state = State {
            service,
            options,
            current: ArcSwap::default(),
            kept: ArcSwapOption::empty(),
            lost: ArcSwapOption::from_pointee(SystemTime::now()),
            trouble: ArcSwapOption::empty(),
        };
        let read = state.options.file.as_ref().map(|path| Kept::read(path, &state.service));
        match read.transpose() {
            Ok(Some(Some((kept, written)))) => match state.apply(kept) {
                Ok(()) => state.lost.store(Some(Arc::new(written))),
                Err(why) => state.say(format!("the values of the file are refused: {why}")),
            },
            Ok(_) => {}
            Err(why) => state.say(why),
        }
        state
    }

    fn say(&self, trouble: String) {
        self.trouble.store(Some(Arc::new(trouble)));
    }

    /// Puts values in force, or says why not.
    fn apply(&self, kept: Kept) -> Result<(), String> {
        kept.check()?;
        let same = self.kept.load().as_ref().is_some_and(|before| before.hash == kept.hash);
        if !same {
            let values = M::decode(&kept.message[..]).map_err(|error| error.to_string())?;
            if let Some(on_change) = &self.options.on_change {
                on_change(&values)?;
            }
            self.current.store(Arc::new(values));
        }
        self.kept.store(Some(Arc::new(kept)));
        Ok(())
    }

    async fn run(self: Arc<Self>, mut client: SettingsClient<Channel>) {
        let mut backoff = BACKOFF;
        loop {
            let Err(status) = self.follow(&mut client, &mut backoff).await else { continue };
            if self.lost.load().is_none() {
                self.lost.store(Some(Arc::new(SystemTime::now())));
            }
            self.say(format!("the gateway is not there: {status}"));
            // Half of it to the whole: services that lost their gateway do not come back together.
            let random = RandomState::new().hash_one(0) as u32;
            tokio::time::sleep(
                backoff / 2 + (backoff / 2).mul_f64(f64::from(random) / f64::from(u32::MAX)),
            )
            .await;
            backoff = (backoff * 2).min(BACKOFF_MOST);
        }
    }

    /// One stream, to its end.
    async fn follow(
        self: &Arc<Self>,
        client: &mut SettingsClient<Channel>,
        backoff: &mut Duration,
    ) -> Result<(), tonic::Status> {
        let have = self.kept.load_full();
        let request = WatchRequest {
            service: self.service.clone(),
            have_version: have.as_ref().map_or(0, |have| have.version),
            have_hash: have.map_or_else(Vec::new, |have| have.hash.clone()),
            instance: self.options.instance.clone(),
        };
        let mut stream = client.watch(request).await?.into_inner();
        *backoff = BACKOFF;
        self.lost.store(None);
        self.trouble.store(None);
        while let Some(Snapshot { version, message, hash }) = stream.message().await? {
            let kept = Kept { service: self.service.clone(), version, hash, message };
            let (version, hash) = (kept.version, kept.hash.clone());
            let outcome = match self.apply(kept) {
                Ok(()) => {
                    self.keep().await;
                    Outcome::Applied(Applied {})
                }
                Err(reason) => Outcome::Refused(Refused { reason }),
            };
            let (service, instance) = (self.service.clone(), self.options.instance.clone());
            let outcome = Some(outcome);
            client.report(ReportRequest { service, instance, version, hash, outcome }).await?;
        }
        Err(tonic::Status::unavailable("the stream ended"))
    }

    /// Writes the values in force into the file.
    async fn keep(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let written =
            tokio::task::spawn_blocking(move || match (&this.options.file, &*this.kept.load()) {
                (Some(path), Some(kept)) => kept.write(path),
                _ => Ok(()),
            });
        if let Ok(Err(why)) = written.await {
            self.say(why);
        }
    }
}
