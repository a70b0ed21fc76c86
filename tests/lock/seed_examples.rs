//! The curl examples of the first documentation, verbatim from a shell.

use std::path::Path;

use tokio::process::Command;

use crate::common::program::{self, ROOT};
use crate::common::server::Server;
use crate::common::wait::within;

/// The examples with the documented answers: an answer stands in a line `# 响应: …` below its command.
const EXAMPLES: &str = "tests/lock/seed_examples";

/// Runs one of the example scripts against a server, with curl's exit code as the shell's.
async fn run(server: &Server, script: &str) -> Option<String> {
    program::find("curl", "the examples for a shell")?;
    let text = std::fs::read_to_string(Path::new(ROOT).join(EXAMPLES).join(script)).expect("the example is there");
    let http = server.http().0.to_string();
    let text = text.replace("127.0.0.1:8080", &http);
    let run = Command::new("bash").args(["-euc", &text]).output();
    let output = within("the example ends", run).await.expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("answers are UTF-8"))
}

#[tokio::test]
async fn the_single_lock_example_gets_the_lock() {
    let server = Server::start().await;
    let Some(answers) = run(&server, "lock.sh").await else { return };
    assert_eq!(answers, "{\"acquired\":true,\"message\":\"成功获得锁\",\"skip\":false}\n");
}

#[tokio::test]
async fn the_example_without_a_type_lacks_a_parameter() {
    let server = Server::start().await;
    let Some(answers) = run(&server, "unlock_without_type.sh").await else { return };
    assert_eq!(answers, "缺少必要参数\n");
}

#[tokio::test]
async fn the_right_unlock_example_releases_the_lock_of_the_lock_example() {
    let server = Server::start().await;
    let Some(_) = run(&server, "lock.sh").await else { return };
    let Some(answers) = run(&server, "unlock.sh").await else { return };
    assert_eq!(answers, "{\"message\":\"成功释放锁\",\"released\":true}\n");
}

#[tokio::test]
async fn the_success_scenario_answers_as_documented() {
    let server = Server::start().await;
    let Some(answers) = run(&server, "success.sh").await else { return };
    assert_eq!(
        answers,
        "{\"acquired\":true,\"message\":\"成功获得锁\",\"skip\":false}\n{\"message\":\"成功释放锁\",\"released\":true}\n",
    );
    let documented =
        [r#"{"acquired":true,"message":"成功获得锁","skip":false}"#, r#"{"released":true,"message":"成功释放锁"}"#];
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    let answers: Vec<_> = answers.lines().map(read).collect();
    assert_eq!(answers, documented.map(read));
}

#[tokio::test]
async fn the_failure_scenario_leaves_the_lock_free() {
    let server = Server::start().await;
    for _ in 0..2 {
        let Some(answers) = run(&server, "failure.sh").await else { return };
        assert_eq!(
            answers,
            "{\"acquired\":true,\"message\":\"成功获得锁\",\"skip\":false}\n{\"message\":\"成功释放锁\",\"released\":true}\n",
        );
    }
}
