//! Starts what runs by itself.

use std::sync::Arc;

use super::health_engine::HealthEngine;
use super::parts::Replication;
use super::realtime_engine::RealtimeEngine;
use super::schedule_engine::ScheduleEngine;
use super::sweep_engine::SweepEngine;
use crate::engine::{self, Engine};

impl Replication {
    /// Starts everything that queues runs, asks clusters and sweeps. Ends at shutdown.
    pub fn start(&self) {
        self.run(ScheduleEngine::new(self.clone()));
        self.run(RealtimeEngine::by_changes(self.clone()));
        self.run(RealtimeEngine::by_tasks(self.clone()));
        self.run(HealthEngine::new(self.clone()));
        self.run(SweepEngine::new(self.clone()));
        self.start_runner();
    }

    fn run(&self, engine: impl Engine) {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        self.tasks.spawn(engine::run(engine, store, clock, self.shutdown.clone()));
    }
}
