//! Tasks: `GetCloneTasks`, `GetCloneTaskList` and `CleanCloneTask`.
//!
//! Quirk: only clones and rollbacks are tasks; what else takes long is unknown to this API.
//! Quirk: a flattened clone's task is done, whoever had it flattened.

use steward_proto::volume::v1::{
    DeleteOperationRequest, GetOperationRequest, ListOperationsRequest, OperationState, OperationType,
};

use super::answer::Answer;
use super::code::Code;
use super::page::{Page, Paging};
use super::refusal::Refusal;
use super::snapshots::or_empty;
use super::styled::Object;
use super::{Asked, row};

/// Operations that are tasks.
const TYPES: [OperationType; 2] = [OperationType::Clone, OperationType::Rollback];
const IN_PROGRESS: [OperationState; 3] = [OperationState::Queued, OperationState::Running, OperationState::Paused];

/// Handles `GetCloneTasks`: one task, those that made a volume, or those of a user.
pub(super) async fn of_user(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let user = asked.query.required("User")?;
    let uuid = asked.query.text("UUID")?;
    let target = asked.query.text("File")?;
    let paging = Paging::of(&asked.query)?;
    let page = if uuid.is_empty() {
        let has_target = !target.is_empty();
        let types = Filter::default().types();
        let message = ListOperationsRequest { user, target, types, ..ListOperationsRequest::default() };
        let page = gather(asked, paging, message).await?;
        if has_target && page.total == 0 {
            return Err(Code::NotFound.into());
        }
        page
    } else {
        paging.of_one(get(asked, user, uuid).await?)
    };
    Ok(page.answer("TaskInfos"))
}

/// Handles `GetCloneTaskList`: the tasks of everybody, as far as they match.
pub(super) async fn list(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let query = &asked.query;
    let filter = Filter::of(&query.text("Type")?, &query.text("Status")?);
    let can_match = filter.is_some();
    let filter = filter.unwrap_or_default();
    let message = ListOperationsRequest {
        types: filter.types(),
        states: filter.states.iter().map(|state| i32::from(*state)).collect(),
        target: query.text("Destination")?,
        source: query.text("Source")?,
        owner: query.text("User")?,
        uuid: query.text("UUID")?,
        ..ListOperationsRequest::default()
    };
    let page = gather(asked, Paging::of(query)?, message).await;
    let page = page.or_else(|refusal| or_empty(refusal, &[Code::NotFound, Code::InvalidArgument]))?;
    // Asked all the same, because only the service knows who may ask.
    Ok(if can_match { page } else { Page::empty() }.answer("TaskInfos"))
}

/// Handles `CleanCloneTask`: a task that is over is forgotten.
pub(super) async fn clean(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let message = DeleteOperationRequest { user: asked.query.required("User")?, uuid: asked.query.required("UUID")? };
    let call = asked.call("DeleteOperation");
    let deleted = call.run(asked.storage.operations.clone().delete_operation(call.request(message))).await;
    match deleted.map_err(|failure| Refusal::of(&failure, asked.action)) {
        Ok(_) | Err(Refusal { code: Code::NotFound, .. }) => Ok(Answer::done()),
        Err(refusal) => Err(refusal),
    }
}

async fn get(asked: &Asked<'_>, user: String, uuid: String) -> Result<Object, Refusal> {
    let call = asked.call("GetOperation");
    let message = GetOperationRequest { user, uuid };
    let found = call.run(asked.storage.operations.clone().get_operation(call.request(message))).await;
    let found = found.map_err(|failure| Refusal::of(&failure, asked.action))?;
    let operation = found.operation.ok_or_else(|| Refusal::broken(&call, "no operation"))?;
    if TYPES.contains(&operation.r#type()) { Ok(row::task(&operation)) } else { Err(Code::NotFound.into()) }
}

async fn gather(asked: &Asked<'_>, paging: Paging, message: ListOperationsRequest) -> Result<Page, Refusal> {
    let gathering = paging.gather(async |window| {
        let call = asked.call("ListOperations");
        let message = ListOperationsRequest { page_size: window.page_size, skip: window.skip, ..message.clone() };
        let listed = call.run(asked.storage.operations.clone().list_operations(call.request(message))).await;
        let listed = listed.map_err(|failure| Refusal::of(&failure, asked.action))?;
        Ok(Page { rows: listed.operations.iter().map(row::task).collect(), total: listed.total_size })
    });
    gathering.await
}

/// Which operations a list is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    types: Vec<OperationType>,
    /// None: in every state.
    states: Vec<OperationState>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { types: TYPES.to_vec(), states: vec![] }
    }
}

impl Filter {
    /// What the numbers of a type and of a status ask for; `None` if nothing can be so.
    fn of(r#type: &str, status: &str) -> Option<Self> {
        let types: &[OperationType] = match r#type {
            "" => &TYPES,
            "0" => &[OperationType::Clone],
            "1" => &[OperationType::Rollback],
            _ => return None,
        };
        // A status can tell the type, too.
        let (types_of_status, states): (&[OperationType], &[OperationState]) = match status {
            "" => (&TYPES, &[]),
            "0" => (&TYPES, &[OperationState::Succeeded]),
            "1" => (&[OperationType::Clone], &IN_PROGRESS),
            "2" => (&[OperationType::Rollback], &IN_PROGRESS),
            "3" => (&TYPES, &[OperationState::Canceling]),
            "5" => (&TYPES, &[OperationState::Failed, OperationState::Cancelled]),
            "6" => (&TYPES, &[OperationState::Retrying]),
            "7" => (&TYPES, &[OperationState::MetaInstalled]),
            _ => return None,
        };
        let both: Vec<OperationType> = types.iter().copied().filter(|both| types_of_status.contains(both)).collect();
        (!both.is_empty()).then(|| Self { types: both, states: states.to_vec() })
    }

    fn types(&self) -> Vec<i32> {
        self.types.iter().map(|r#type| i32::from(*r#type)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_type_have_to_agree() {
        use OperationType::{Clone, Rollback};
        for (r#type, status, expected) in [
            ("", "", Some((vec![Clone, Rollback], 0))),
            ("0", "", Some((vec![Clone], 0))),
            ("1", "0", Some((vec![Rollback], 1))),
            ("", "1", Some((vec![Clone], 3))),
            ("", "2", Some((vec![Rollback], 3))),
            ("", "5", Some((vec![Clone, Rollback], 2))),
            ("1", "1", None),
            ("0", "2", None),
            ("2", "", None),
            ("", "4", None),
            ("", "8", None),
            ("", "x", None),
            ("", "01", None),
        ] {
            let filter = Filter::of(r#type, status).map(|filter| (filter.types, filter.states.len()));
            assert_eq!(filter, expected, "{type} {status}");
        }
    }
}
