//! Random histories of one video and its tasks against what always holds.

use std::time::Duration;

use proptest::prelude::*;

use super::claim;
use super::model::{TaskId, TaskRecord, TaskStatus, VideoRecord, VideoStatus, is_in_progress};
use super::transition::tests::{claimed, policy, waiting};
use super::transition::{self, Cause, Job, Report};
use crate::clock::Timestamp;

const MAX_ATTEMPTS: i32 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A worker asks for work.
    Claim {
        takes_retries: bool,
    },
    /// The worker of the task that is so many back speaks.
    Report {
        back: usize,
        report: Report,
    },
    Cancel {
        back: usize,
        requeue: bool,
    },
    End {
        back: usize,
        is_stalled: bool,
    },
    Requeue,
    Rest {
        minutes: u64,
    },
}

fn reports() -> impl Strategy<Value = Report> {
    let statuses = prop::sample::select(vec![
        TaskStatus::Created,
        TaskStatus::Running,
        TaskStatus::Running,
        TaskStatus::Completed,
        TaskStatus::Failed,
    ]);
    let progress = prop_oneof![4 => -20.0..150.0, 1 => Just(f64::NAN), 1 => Just(f64::NEG_INFINITY)];
    let times = (prop::option::of(-5..50), prop::option::of(-5..50));
    (statuses, progress, times, -3i64..2_000, prop::bool::weighted(0.3)).prop_map(
        |(status, progress, (elapsed_time, remaining_time), output_bytes, is_declined)| Report {
            status,
            progress,
            elapsed_time,
            remaining_time,
            output_bytes,
            is_declined,
            fps: progress,
            speed: progress,
            ..Report::default()
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    let back = || prop_oneof![4 => Just(0usize), 1 => 0usize..4];
    prop_oneof![
        3 => any::<bool>().prop_map(|takes_retries| Step::Claim { takes_retries }),
        6 => (back(), reports()).prop_map(|(back, report)| Step::Report { back, report }),
        1 => (back(), any::<bool>()).prop_map(|(back, requeue)| Step::Cancel { back, requeue }),
        2 => (back(), any::<bool>()).prop_map(|(back, is_stalled)| Step::End { back, is_stalled }),
        1 => Just(Step::Requeue),
        2 => (0u64..10).prop_map(|minutes| Step::Rest { minutes }),
    ]
}

/// One video, and all the tasks that it had.
#[derive(Debug)]
struct World {
    now: Timestamp,
    video: VideoRecord,
    tasks: Vec<TaskRecord>,
}

impl World {
    fn take(&mut self, step: Step) {
        match step {
            Step::Rest { minutes } => self.now = self.now.plus(Duration::from_mins(minutes)),
            Step::Claim { takes_retries } => {
                if claim::is_claimable(&self.video, takes_retries, self.now) {
                    let id = TaskId(i32::try_from(self.tasks.len()).unwrap() + 1);
                    let job = claimed(self.video.clone(), id, self.now);
                    self.tasks.push(job.task);
                    self.video = job.video;
                }
            }
            Step::Requeue => {
                let is_busy = self.tasks.iter().any(is_in_progress);
                if !is_busy {
                    transition::requeue(&mut self.video, None, self.now);
                }
            }
            Step::Report { back, report } => {
                let now = self.now;
                self.decide(back, |job| transition::report(job, &report, MAX_ATTEMPTS, &policy(), now).is_applied);
            }
            Step::Cancel { back, requeue } => {
                let now = self.now;
                self.decide(back, |job| transition::cancel(job, "", requeue, now).is_applied);
            }
            Step::End { back, is_stalled } => {
                let now = self.now;
                let cause = if is_stalled { Cause::Stalled } else { Cause::WorkerLost }(String::new());
                let end = |job: &mut Job| transition::end_by_server(job, &cause, MAX_ATTEMPTS, &policy(), now);
                self.decide(back, |job| end(job).is_applied);
            }
        }
    }

    fn decide(&mut self, back: usize, decision: impl FnOnce(&mut Job) -> bool) {
        let Some(place) = self.tasks.len().checked_sub(back + 1) else { return };
        let id = TaskId(i32::try_from(place).unwrap() + 1);
        let mut job = Job { id, task: self.tasks[place].clone(), video: self.video.clone() };
        let before = job.clone();
        let is_applied = decision(&mut job);
        assert!(is_applied || job == before, "what was not applied changed {before:?} to {job:?}");
        assert!(before.task.status != TaskStatus::Completed as i32 || job == before, "a completed task changed");
        (self.tasks[place], self.video) = (job.task, job.video);
    }

    fn check(&self) {
        let video = &self.video;
        let open: Vec<i32> =
            (1..).zip(&self.tasks).filter(|(_, task)| is_in_progress(task)).map(|(id, _)| id).collect();
        let expected = match open[..] {
            [] => None,
            [id] => Some((id, self.tasks[usize::try_from(id).unwrap() - 1].status)),
            _ => panic!("several tasks have the video: {open:?}"),
        };
        let status = VideoStatus::try_from(video.status).unwrap();
        let is_busy = matches!(status, VideoStatus::Claimed | VideoStatus::Transcoding);
        assert_eq!(is_busy, expected.is_some(), "{status:?}, and with {open:?}");
        assert_eq!(video.task_id, expected.map_or(0, |(id, _)| id));
        if let Some((_, task)) = expected {
            let is_running = task == TaskStatus::Running as i32;
            assert_eq!(status == VideoStatus::Transcoding, is_running);
            assert!(!video.held && video.not_before_nanos == 0);
        }
        assert!((0..=MAX_ATTEMPTS).contains(&video.attempts), "{} attempts", video.attempts);
        assert!(!video.held || !claim::is_claimable(video, true, Timestamp::MAX), "a held video can be had");
        assert!(video.attempts < MAX_ATTEMPTS || !claim::is_claimable(video, true, Timestamp::MAX));
        self.tasks.iter().for_each(check_task);
    }
}

fn check_task(task: &TaskRecord) {
    assert_eq!(is_in_progress(task), task.end_nanos == 0);
    assert!((0.0..=100.0).contains(&task.progress) && task.fps >= 0.0 && task.speed.is_finite());
    assert!(task.elapsed_time >= 0 && task.remaining_time.is_none_or(|remaining| remaining >= 0));
    match TaskStatus::try_from(task.status).unwrap() {
        TaskStatus::Completed => assert_eq!(task.remaining_time, Some(0)),
        TaskStatus::Failed | TaskStatus::Cancelled => assert_eq!(task.remaining_time, None),
        TaskStatus::Created | TaskStatus::Running | TaskStatus::Unspecified => {}
    }
}

proptest! {
    #[test]
    fn whatever_is_said_the_video_is_with_the_one_task_in_progress(
        history in prop::collection::vec(steps(), 1..60),
    ) {
        let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let mut world = World { now, video: waiting(), tasks: Vec::new() };
        for step in history {
            world.take(step);
            world.check();
        }
    }
}
