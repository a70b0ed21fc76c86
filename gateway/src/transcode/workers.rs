//! `/workers`: the workers of the farm, and their signs of life.
//!
//! Quirk: the list is all workers unless it is asked for a page, and it alone says what they are told to do.
//! Quirk: a name that is registered again keeps its id, and is as good as a new one.
//! Quirk: a change of a worker that is not there is 404 before anything else is looked at.
//! Quirk: a heartbeat whose name is not that of its id is from nobody (404), and so is one whose id is a word.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use steward_proto::transcode::v1::{
    DeleteWorkerRequest, GetWorkerRequest, HeartbeatRequest, ListWorkersRequest, RegisterWorkerRequest,
    UpdateWorkerRequest, Worker,
};

use super::body::Object;
use super::page::Paging;
use super::path::Number;
use super::query::Query;
use super::refusal::Refusal;
use super::row::{ListedWorker, WorkerRow};
use super::{Farm, TIMEOUT, answer, body, number};
use crate::body::Unread;
use crate::upstream::{Call, Caller};

#[derive(Serialize)]
struct Registered {
    worker_id: i32,
}

/// Handles `POST /workers`.
pub(super) async fn register(State(mut farm): State<Farm>, caller: Caller, body: Unread) -> Result<Response, Refusal> {
    let message = registration(&body::read(body).await?)?;
    let name = message.worker_name.clone();
    let call = Call::new("RegisterWorker", caller, TIMEOUT);
    let registered = call.run(farm.workers.register_worker(call.request(message))).await;
    let worker_id = registered.map_err(|failure| Refusal::of(&failure, &name))?.worker_id;
    Ok(answer::with(StatusCode::CREATED, "注册成功", Registered { worker_id }))
}

fn registration(object: &Object) -> Result<RegisterWorkerRequest, Refusal> {
    object.require_truthy("worker_name")?;
    object.require("worker_type")?;
    object.require("support_vr")?;
    Ok(RegisterWorkerRequest {
        worker_name: object.name("worker_name")?.unwrap_or_default(),
        worker_type: worker_type(object)?.unwrap_or_default(),
        support_vr: object.flag("support_vr")?.unwrap_or_default(),
        ..RegisterWorkerRequest::default()
    })
}

/// Reads what a worker encodes with, as the protocol numbers it.
pub(super) fn worker_type(object: &Object) -> Result<Option<i32>, Refusal> {
    Ok(object.within("worker_type", 0..=3)?.map(|number| number + 1))
}

/// Handles `GET /workers`.
pub(super) async fn list(State(mut farm): State<Farm>, caller: Caller, query: Query) -> Result<Response, Refusal> {
    let is_paged = query.first("page").is_some() || query.first("per_page").is_some();
    let paging = Paging::of(&query);
    let message = if is_paged {
        ListWorkersRequest { page_size: paging.per_page, page: paging.page, ..ListWorkersRequest::default() }
    } else {
        ListWorkersRequest::default()
    };
    let call = Call::new("ListWorkers", caller, TIMEOUT);
    let listed = call.run(farm.workers.list_workers(call.request(message))).await?;
    let paging = if is_paged { paging } else { Paging::of_all(listed.total_size) };
    let rows: Vec<_> = listed.workers.iter().map(ListedWorker::new).collect();
    let list = answer::List { name: "workers", rows: &rows, pagination: paging.within(listed.total_size) };
    Ok(answer::list(farm.style().list_shape, answer::FOUND, list))
}

/// Handles `GET /workers/{id}`.
pub(super) async fn get(State(mut farm): State<Farm>, caller: Caller, id: Number) -> Result<Response, Refusal> {
    let worker = find(&mut farm, caller, id.or(Refusal::no_worker())?).await?;
    Ok(answer::with(StatusCode::OK, answer::FOUND, WorkerRow::new(&worker)))
}

async fn find(farm: &mut Farm, caller: Caller, worker_id: i32) -> Result<Worker, Refusal> {
    let call = Call::new("GetWorker", caller, TIMEOUT);
    let found = call.run(farm.workers.get_worker(call.request(GetWorkerRequest { worker_id }))).await?;
    found.worker.ok_or_else(|| Refusal::broken(&call, "no worker"))
}

/// Handles `PUT /workers/{id}`.
pub(super) async fn update(
    State(mut farm): State<Farm>,
    caller: Caller,
    id: Number,
    body: Unread,
) -> Result<Response, Refusal> {
    let object = body::read(body).await?;
    let worker_id = id.or(Refusal::no_worker())?;
    let message = match change(worker_id, &object) {
        Ok(message) => message,
        Err(refusal) => {
            find(&mut farm, caller, worker_id).await?;
            return Err(refusal);
        }
    };
    let name = message.worker_name.clone().unwrap_or_default();
    let call = Call::new("UpdateWorker", caller, TIMEOUT);
    let updated = call.run(farm.workers.update_worker(call.request(message))).await;
    updated.map_err(|failure| Refusal::of(&failure, &name))?;
    Ok(answer::done(StatusCode::OK, "更新成功"))
}

fn change(worker_id: i32, object: &Object) -> Result<UpdateWorkerRequest, Refusal> {
    for field in ["worker_name", "worker_type", "support_vr"] {
        object.refuse_null(field)?;
    }
    if object.get("worker_name").is_some() {
        object.require_truthy("worker_name")?;
    }
    Ok(UpdateWorkerRequest {
        worker_id,
        worker_name: object.name("worker_name")?,
        worker_type: worker_type(object)?,
        support_vr: object.flag("support_vr")?,
        ..UpdateWorkerRequest::default()
    })
}

/// Handles `DELETE /workers/{id}`.
pub(super) async fn delete(State(mut farm): State<Farm>, caller: Caller, id: Number) -> Result<Response, Refusal> {
    let worker_id = id.or(Refusal::no_worker())?;
    let call = Call::new("DeleteWorker", caller, TIMEOUT);
    call.run(farm.workers.delete_worker(call.request(DeleteWorkerRequest { worker_id }))).await?;
    Ok(answer::done(StatusCode::OK, "删除成功"))
}

/// Handles `POST /workers/heartbeat`.
pub(super) async fn heartbeat(State(mut farm): State<Farm>, caller: Caller, body: Unread) -> Result<Response, Refusal> {
    let object = body::read(body).await?;
    object.require_truthy("worker_id")?;
    object.require_truthy("worker_name")?;
    let worker_name = object.name("worker_name")?.unwrap_or_default();
    let worker_id = worker_id(&object)?;
    let call = Call::new("Heartbeat", caller, TIMEOUT);
    call.run(farm.workers.heartbeat(call.request(HeartbeatRequest { worker_id, worker_name }))).await?;
    Ok(answer::done(StatusCode::OK, "心跳更新成功"))
}

/// Reads the id of a worker; one that no worker can have is that of none.
pub(super) fn worker_id(object: &Object) -> Result<i32, Refusal> {
    let is_word = object.get("worker_id").is_some_and(|value| matches!(value, Value::String(_)));
    let id = match object.whole("worker_id") {
        Err(_) if is_word => return Err(Refusal::no_worker()),
        id => id?.unwrap_or_default(),
    };
    number::within(id, 1..=i32::MAX).ok_or(Refusal::no_worker())
}
