//! `steward volume policy attach` and `detach`: who follows a policy.

use clap::Args;
use steward_proto::volume::v1 as pb;

use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::volume::name::VolumePath;
use crate::cli::volume::session::Session;
use crate::cli::volume::text;

/// Which policy, and which volume.
#[derive(Args, Debug)]
pub(in crate::cli::volume) struct AttachArgs {
    /// The policy.
    #[arg(value_name = "NAME")]
    name: String,

    /// The volume.
    #[arg(value_name = "PATH")]
    path: VolumePath,
}

/// What is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Attach,
    Detach,
}

pub(super) async fn run(
    args: AttachArgs,
    step: Step,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<(), Error> {
    let change = |volume: &pb::Volume| {
        let mut policies = volume.policies.clone();
        policies.retain(|name| *name != args.name);
        match step {
            Step::Attach => policies.push(args.name.clone()),
            Step::Detach => {}
        }
        pb::UpdateVolumeRequest { policies, ..pb::UpdateVolumeRequest::default() }
    };
    let volume = session.change_volume(&args.path, "policies", change).await?;
    let policies = printable(&volume.policies.join(", ")).into_owned();
    let line = |path: &str| match policies.as_str() {
        "" => format!("{path} follows no policy"),
        policies => format!("{path} follows {policies}"),
    };
    text::say_volume(volume, line, console)
}
