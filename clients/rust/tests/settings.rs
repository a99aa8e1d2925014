//! The client against a small gateway that a test drives.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod fake;

use std::net::SocketAddr;
use std::time::Duration;

use fake::protos::report_request::Outcome;
use fake::protos::{ReportRequest, Snapshot};
use fake::{Fake, Running};
use tandem_settings::{Options, Settings};

const SERVICE: &str = "shop.catalogue.v1.Catalogue";

/// `message CatalogueSettings { optional int32 max_discount_percent = 1; }`
#[derive(Clone, PartialEq, prost::Message)]
struct Values {
    #[prost(int32, optional, tag = "1")]
    max_discount_percent: Option<i32>,
}

fn values(percent: i32) -> Vec<u8> {
    prost::Message::encode_to_vec(&Values { max_discount_percent: Some(percent) })
}

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn watch(address: SocketAddr, options: Options<Values>) -> Settings<Values> {
    Settings::watch(format!("http://{address}"), SERVICE, options).unwrap()
}

async fn started(percent: i32) -> (Fake, Running) {
    let fake = Fake::new();
    fake.publish(1, &values(percent));
    let running = fake.start(any()).await;
    (fake, running)
}

fn outcome(report: &ReportRequest) -> (u64, &str) {
    let outcome = match report.outcome.as_ref().unwrap() {
        Outcome::Applied(_) => "applied",
        Outcome::Refused(refused) => &refused.reason,
    };
    (report.version, outcome)
}

/// Waits until `look` is true.
async fn until(look: impl Fn() -> bool) {
    let looked = async {
        while !look() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looked).await.expect("in time");
}

#[tokio::test]
async fn values_are_those_of_the_gateway_and_each_is_reported() {
    let (fake, running) = started(30).await;
    let settings = watch(running.address, Options::new("catalogue-1"));
    let reports = fake.reports(1).await;
    assert_eq!(settings.current().max_discount_percent, Some(30));
    assert_eq!(settings.version(), Some(1));
    assert_eq!((settings.age(), settings.trouble()), (Some(Duration::ZERO), None));
    assert_eq!(outcome(&reports[0]), (1, "applied"));
    assert_eq!((&*reports[0].service, &*reports[0].instance), (SERVICE, "catalogue-1"));
    fake.publish(2, &values(40));
    let reports = fake.reports(2).await;
    assert_eq!(settings.current().max_discount_percent, Some(40));
    assert_eq!(outcome(&reports[1]), (2, "applied"));
    assert_eq!(reports[1].hash.len(), 32);
}

#[tokio::test]
async fn without_gateway_and_file_there_are_the_defaults() {
    let fake = Fake::new();
    let running = fake.start(any()).await;
    let address = running.address;
    running.kill().await;
    let settings = watch(address, Options::new("one"));
    assert_eq!(settings.current().max_discount_percent, None);
    assert_eq!((settings.version(), settings.age()), (None, None));
    until(|| settings.trouble().is_some()).await;
    // The gateway comes.
    fake.publish(1, &values(5));
    let _running = fake.start(address).await;
    fake.reports(1).await;
    assert_eq!(settings.current().max_discount_percent, Some(5));
}

#[tokio::test]
async fn a_change_may_be_refused_and_the_values_before_go_on() {
    let (fake, running) = started(30).await;
    let mut options = Options::new("one");
    options.on_change = Some(Box::new(|values: &Values| match values.max_discount_percent {
        Some(61..) => Err("more than we can bear".into()),
        _ => Ok(()),
    }));
    let settings = watch(running.address, options);
    fake.reports(1).await;
    fake.publish(2, &values(61));
    assert_eq!(outcome(&fake.reports(2).await[1]), (2, "more than we can bear"));
    // Bytes that are no such message, and bytes with another's hash.
    fake.publish(3, b"\xff\xff");
    assert_eq!(fake.reports(3).await[2].version, 3);
    fake.publish_raw(Snapshot { version: 4, message: values(1), hash: vec![0; 32] });
    let reports = fake.reports(4).await;
    assert!(outcome(&reports[3]).1.contains("hash"), "{:?}", reports[3]);
    assert!(!matches!(reports[2].outcome, Some(Outcome::Applied(_))));
    assert_eq!((settings.current().max_discount_percent, settings.version()), (Some(30), Some(1)));
    fake.publish(5, &values(60));
    assert_eq!(outcome(&fake.reports(5).await[4]), (5, "applied"));
    assert_eq!(settings.current().max_discount_percent, Some(60));
}

#[tokio::test]
async fn the_same_values_in_another_version_are_no_change() {
    let (fake, running) = started(30).await;
    let mut options = Options::new("one");
    let (count, counted) = std::sync::mpsc::channel();
    options.on_change = Some(Box::new(move |values: &Values| {
        count.send(values.max_discount_percent).unwrap();
        Ok(())
    }));
    let settings = watch(running.address, options);
    fake.reports(1).await;
    fake.publish(2, &values(30));
    assert_eq!(outcome(&fake.reports(2).await[1]), (2, "applied"));
    assert_eq!(settings.version(), Some(2));
    fake.publish(3, &values(31));
    fake.reports(3).await;
    assert_eq!(counted.try_iter().collect::<Vec<_>>(), [Some(30), Some(31)]);
}

#[tokio::test]
async fn hybrid_se_4_the_last_values_outlive_the_gateway_and_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings");
    let options = || Options { file: Some(file.clone()), ..Options::new("one") };
    let (fake, running) = started(30).await;
    let address = running.address;
    let settings = watch(address, options());
    fake.reports(1).await;
    running.kill().await;
    until(|| settings.trouble().is_some()).await;
    assert_eq!(settings.current().max_discount_percent, Some(30));
    assert!(settings.age().is_some_and(|age| age > Duration::ZERO));
    drop(settings);
    // A process that starts without a gateway.
    let settings = watch(address, options());
    assert_eq!((settings.current().max_discount_percent, settings.version()), (Some(30), Some(1)));
    assert!(settings.age().is_some());
    // The gateway comes back with the same values: nothing is sent; then with others.
    let running = fake.start(address).await;
    until(|| settings.trouble().is_none() && settings.age() == Some(Duration::ZERO)).await;
    assert_eq!(fake.asked().last().unwrap().have_version, 1);
    fake.publish(2, &values(40));
    assert_eq!(outcome(&fake.reports(2).await[1]), (2, "applied"));
    drop(running);
}

#[tokio::test]
async fn a_damaged_file_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings");
    std::fs::write(&file, "tandem-settings 1\n").unwrap();
    let options = Options { file: Some(file.clone()), ..Options::new("one") };
    let (fake, running) = started(30).await;
    let address = running.address;
    running.kill().await;
    let settings = watch(address, options);
    assert_eq!(settings.current().max_discount_percent, None);
    assert!(settings.trouble().unwrap().contains("it is damaged"));
    let _running = fake.start(address).await;
    fake.reports(1).await;
    assert!(std::fs::read(&file).unwrap().ends_with(&values(30)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[tokio::test]
async fn dropping_the_last_clone_ends_the_watching() {
    let (fake, running) = started(30).await;
    let settings = watch(running.address, Options::new("one"));
    let clone = settings.clone();
    drop(settings);
    fake.reports(1).await;
    assert_eq!(clone.current().max_discount_percent, Some(30));
    drop(clone);
    let before = fake.watching();
    assert!(before <= 1);
    until(|| fake.watching() == 0).await;
}
