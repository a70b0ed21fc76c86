//! The commands on the farm's log.

use super::batch::{About, Batch};
use super::error::Error;
use super::farm::{Decision, Farm};
use super::model::{LogId, LogLevel, LogRecord, TaskUuid};

impl Farm {
    /// Adds an entry.
    pub(super) async fn log(
        &self,
        level: LogLevel,
        message: String,
        about: About<'_>,
    ) -> Result<(LogId, LogRecord), Error> {
        let attempt = || async {
            let mut batch = Batch::default();
            let answer = batch.log(&self.index, self.clock.now(), (level, message.clone()), about);
            Ok(Decision { batch, answer })
        };
        Ok(self.decide("the log", attempt).await?.0)
    }

    /// Adds an entry about a task.
    pub(crate) async fn log_task(
        &self,
        uuid: TaskUuid,
        level: LogLevel,
        message: String,
    ) -> Result<(LogId, LogRecord), Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            let id = farm.find_task(uuid)?;
            let task = farm.task(id).await?.ok_or_else(|| Error::TaskNotFound(uuid.to_string()))?.record;
            farm.log(level, message, About::Task(id, &task)).await
        })
        .await
    }
}
