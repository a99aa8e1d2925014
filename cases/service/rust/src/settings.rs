//! The settings of a case, watched at the gateway.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tandem_settings::{OnChange, Options as Watched, Settings};

use crate::start::Options;

/// Reads the settings in force.
#[derive(Clone)]
pub struct Reader<M>(Source<M>);

#[derive(Clone)]
enum Source<M> {
    Fixed(Arc<M>),
    Gateway(Settings<M>),
}

impl<M: Message + Default + 'static> Reader<M> {
    /// These values, for good.
    pub fn of(values: M) -> Reader<M> {
        Reader(Source::Fixed(Arc::new(values)))
    }

    pub fn current(&self) -> Arc<M> {
        match &self.0 {
            Source::Fixed(values) => Arc::clone(values),
            Source::Gateway(settings) => settings.current(),
        }
    }
}

/// Watches the settings of `service` at the gateway that the options name; without one they are
/// the defaults.
///
/// # Errors
/// None but a fault of ours: an address is always a URI.
pub fn watch<M: Message + Default + Clone + 'static>(
    options: &Options,
    service: &str,
    program: &str,
    on_change: Option<OnChange<M>>,
) -> Result<Reader<M>, Box<dyn std::error::Error>> {
    let Some(internal) = options.internal else { return Ok(Reader::of(M::default())) };
    let instance = format!("{program}-{}", std::process::id());
    let watched = Watched { instance, file: options.settings_file.clone(), on_change };
    let settings = Settings::watch(format!("http://{internal}"), service, watched)?;
    tokio::spawn(tell(settings.clone()));
    Ok(Reader(Source::Gateway(settings)))
}

/// Logs what is wrong with the settings, when it begins and when it ends.
async fn tell<M: Message + Default + 'static>(settings: Settings<M>) {
    let mut wrong = false;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let trouble = settings.trouble();
        if wrong != trouble.is_some() {
            wrong = trouble.is_some();
            tracing::info!(?trouble, "settings");
        }
    }
}
