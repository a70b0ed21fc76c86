//! The conformance suite of the distribution specification.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::timeout;

use crate::registry::Registry;
use crate::tool::Tool;

/// For hundreds of checks on a loaded machine.
const DEADLINE: Duration = Duration::from_mins(10);

#[tokio::test]
async fn nothing_of_the_specification_fails() {
    conforms("nothing_of_the_specification_fails", "1.1").await;
}

/// What the next version will have: tags of a push by digest, digests in headers, uploads that are given up.
#[tokio::test]
async fn nothing_of_the_next_specification_fails() {
    conforms("nothing_of_the_next_specification_fails", "dev").await;
}

async fn conforms(needed_by: &str, version: &str) {
    let Some(suite) = Tool::find("oci-conformance", needed_by) else { return };
    let registry = Registry::start().await;
    let mut command = suite.command::<&str>(&[]);
    command
        .env("OCI_REGISTRY", registry.address().to_string())
        .env("OCI_TLS", "disabled")
        .env("OCI_REPO1", "p1/img/c1")
        .env("OCI_REPO2", "p1/img/c2")
        .env("OCI_VERSION", version)
        .env("OCI_DATA_SHA512", "true")
        .env("OCI_RESULTS_DIR", suite.home().join("results"));
    let output = timeout(DEADLINE, command.output()).await.expect("the suite ends").expect("it can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let totals = totals(&said);
    // Past the capture of the test's output: how many checks there were says what the result is worth.
    let line = format!("conformance with {version}: {totals}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(totals.contains("Total"), "the suite has counted: {said}");
}

/// The counts behind the line of the result, in one line: `Pass 840, FAIL 0, …, Total 848`.
fn totals(said: &str) -> String {
    let counts = said.lines().skip_while(|line| !line.starts_with("OCI Conformance Result")).skip(1);
    let counts = counts.take_while(|line| !line.trim().is_empty()).filter_map(|line| line.split_once(':'));
    let counts = counts.map(|(name, count)| format!("{} {}", name.trim().trim_end_matches('.'), count.trim()));
    counts.collect::<Vec<_>>().join(", ")
}
