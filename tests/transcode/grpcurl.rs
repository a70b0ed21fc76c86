//! `grpcurl`, which knows nothing but what the server's reflection tells it.

use tokio::process::Command;

use crate::common::program;
use crate::common::wait::within;
use crate::vocabulary::farm::Farm;

/// Runs grpcurl against a farm; `None` when there is none.
async fn grpcurl(farm: &Farm, args: &[&str], target: &[&str]) -> Option<String> {
    let program = program::find("grpcurl", "transcode::grpcurl")?;
    let address = farm.grpc_address().to_string();
    let mut command = Command::new(program);
    command.arg("-plaintext").args(args).arg(address).args(target).kill_on_drop(true);
    let output = within("grpcurl ends", command.output()).await.expect("grpcurl can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

#[tokio::test]
async fn all_services_of_the_farm_are_listed() {
    let farm = Farm::start().await;
    let Some(list) = grpcurl(&farm, &[], &["list"]).await else { return };
    for service in ["Library", "Log", "Task", "Video", "Worker"] {
        let name = format!("steward.transcode.v1.{service}Service");
        assert!(list.lines().any(|line| line == name), "{name} in {list}");
    }
}

#[tokio::test]
async fn a_task_is_claimed_and_completed_from_a_shell() {
    let farm = Farm::start().await;
    farm.waiting(1).await;
    let call = async |method: &str, request: &str| {
        let method = format!("steward.transcode.v1.{method}");
        let answer = grpcurl(&farm, &["-d", request], &[&method]).await?;
        Some(serde_json::from_str::<serde_json::Value>(&answer).expect("JSON"))
    };
    let register = r#"{"worker_name": "shell", "worker_type": "WORKER_TYPE_CPU"}"#;
    let Some(registered) = call("WorkerService/RegisterWorker", register).await else { return };
    assert_eq!(registered["outcome"], "REGISTER_OUTCOME_NEW");
    let worker = registered["workerId"].as_i64().expect("a number");

    let claimed = call("TaskService/ClaimTask", &format!(r#"{{"worker_id": {worker}}}"#)).await.expect("an answer");
    let task = claimed["task"]["taskId"].as_str().expect("a task");
    let done = format!(
        r#"{{"task_id": "{task}", "worker_id": {worker}, "progress": 100, "status": "TASK_STATUS_COMPLETED"}}"#
    );
    let updated = call("TaskService/UpdateTask", &done).await.expect("an answer");

    assert_eq!(updated["applied"], true);
    assert_eq!(farm.api().task(task).await["status"], 2);
}
