//! Queries that nobody means well.

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::failures::ACTIONS;
use super::fake::Fake;
use super::{ask, done, malformed, read, send};

/// Nearly as long as a request may be.
const LONG: usize = 60_000;

#[tokio::test]
async fn long_values_are_passed_on_or_refused() {
    let fake = Fake::default();
    let long = "x".repeat(LONG);
    assert_eq!(ask(&fake.router(), &format!("DeleteFile&User=u&File=/{long}")).await, done());
    assert_eq!(ask(&fake.router(), &format!("{long}&User=u")).await, malformed());
    let digits = "9".repeat(LONG);
    assert_eq!(ask(&fake.router(), &format!("CreateFile&User=u&File=/a&Size={digits}")).await, malformed());
    let escapes = "%".repeat(LONG);
    assert_eq!(ask(&fake.router(), &format!("DeleteFile&User=u&File=/{escapes}")).await, done());
}

#[tokio::test]
async fn ten_thousand_parameters_are_one_request() {
    let fake = Fake::default();
    let many = "&a=b".repeat(10_000);
    assert_eq!(ask(&fake.router(), &format!("DeleteFile{many}&User=u&File=/a")).await, done());
    let again = "&User=u".repeat(8_000);
    assert_eq!(ask(&fake.router(), &format!("DeleteFile&File=/a{again}")).await, done());
    assert_eq!(ask(&fake.router(), &format!("DeleteFile{}", "&".repeat(LONG))).await, malformed());
    assert_eq!(fake.count(), 2);
}

#[tokio::test]
async fn values_that_are_no_text_are_refused() {
    let fake = Fake::default();
    for value in ["%FF", "a%C3", "%C0%AF", "%ED%A0%80", "%F5%80%80%80"] {
        for query in [
            format!("DeleteFile&User={value}&File=/a"),
            format!("DeleteFile&User=u&File=/{value}"),
            format!("CreateSnapshot&User=u&File=/a&Name={value}"),
            format!("GetFileSnapshotList&Status={value}"),
            format!("CreateFile&User=u&File=/a&Size=1&PoolSet={value}"),
        ] {
            assert_eq!(ask(&fake.router(), &query).await, malformed(), "{query}");
        }
        // What is not asked for may be anything.
        assert_eq!(ask(&fake.router(), &format!("DeleteFile&User=u&File=/a&X={value}")).await, done());
    }
    assert_eq!(fake.count(), 5);
}

/// Parameters that make sense, do not, or nearly do.
fn parameter() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("Action"),
        Just("Version"),
        Just("User"),
        Just("File"),
        Just("Dir"),
        Just("Name"),
        Just("UUID"),
        Just("Size"),
        Just("Limit"),
        Just("Offset"),
        Just("Lazy"),
        Just("Readonly"),
        Just("Source"),
        Just("Destination"),
        Just("Status"),
        Just("Type"),
        Just("Poolset"),
        Just("StripeUnit"),
        Just(""),
    ];
    let value = prop_oneof!["[0-9a-zA-Z/%+=;.@-]{0,12}", "(%[0-9A-F]{2}){0,4}", "-?[0-9]{1,21}", Just("true".into())];
    (name, value).prop_map(|(name, value)| format!("{name}={value}"))
}

proptest! {
    #[test]
    fn every_query_is_answered(
        action in prop::sample::select(ACTIONS.to_vec()),
        parameters in prop::collection::vec(parameter(), 0..8),
        is_whole in any::<bool>(),
    ) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let router = Fake::default().router();
            let base = if is_whole { format!("Version=1&Action={action}&") } else { String::new() };
            let uri = format!("/SnapshotCloneService?{base}{}", parameters.join("&"));
            let answered = read(send(&router, "GET", &uri, &[], "").await).await;
            assert!(["200 {", "400 {", "500 {"].contains(&&answered[..5]), "{answered}");
            // Only the code -5 is 400.
            assert_eq!(answered.starts_with("400"), answered.contains("\"Code\" : \"-5\""), "{answered}");
        });
    }

    #[test]
    fn every_path_is_the_service_or_nothing(path in "/{2,3}(SnapshotCloneService)?[a-zA-Z./%-]{0,10}") {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let response = send(&Fake::default().router(), "GET", &path, &[], "").await;
            assert!([400, 404].contains(&response.status().as_u16()), "{path} {}", response.status());
        });
    }
}
