//! `steward volume policy set`: when to make snapshots, and which to keep.

use clap::Args;
use steward_proto::volume::v1 as pb;

/// Creates or replaces a policy. A snapshot stays if any of the rules keeps it; without rules all of them stay.
#[derive(Args, Debug)]
pub(in crate::cli::volume) struct SetArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,

    /// When: minute, hour, day of the month, month, day of the week; or @hourly and the like.
    #[arg(long, value_name = "CRON")]
    schedule: String,

    /// The time zone of the schedule, such as Europe/Berlin. Default: UTC.
    #[arg(long, value_name = "ZONE", default_value = "", hide_default_value = true)]
    time_zone: String,

    /// Keep the newest so many.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_last: u32,

    /// Keep the newest one of so many hours.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_hourly: u32,

    /// Keep the newest one of so many days.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_daily: u32,

    /// Keep the newest one of so many weeks.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_weekly: u32,

    /// Keep the newest one of so many months.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_monthly: u32,

    /// Make no snapshots and delete none for now.
    #[arg(long)]
    paused: bool,
}

impl SetArgs {
    pub(super) fn policy(self) -> pb::SnapshotPolicy {
        let retention = pb::Retention {
            last: self.keep_last,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
        };
        pb::SnapshotPolicy {
            name: self.name,
            schedule: self.schedule,
            time_zone: self.time_zone,
            retention: Some(retention),
            paused: self.paused,
            ..pb::SnapshotPolicy::default()
        }
    }
}
