//! A real restic at work.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;

use crate::BoxError;
use crate::measures::{Bench, flush, median};
use crate::objects::{MIB, noise};
use crate::server::Server;
use crate::table::Better;

const LARGE_MIB: u64 = 1024;
const SMALL_FILES: u64 = 20_000;

/// What restic does, in this order: its name and its arguments.
const STEPS: [(&str, &[&str]); 7] = [
    ("init", &["init"]),
    ("backup of 1 GiB", &["backup", "--tag", "large", "large"]),
    ("backup of 20,000 files", &["backup", "--tag", "small", "small"]),
    ("backup of the same again", &["backup", "--tag", "small", "small"]),
    ("check --read-data", &["check", "--read-data"]),
    ("restore of 1 GiB", &["restore", "latest", "--tag", "large", "--target", "restored"]),
    ("restore of 20,000 files", &["restore", "latest", "--tag", "small", "--target", "restored"]),
];

pub(crate) async fn measure(bench: &mut Bench<'_>, directory: &Path) -> Result<(), BoxError> {
    let data = directory.join("data");
    make_data(&data)?;
    // For each step, the figures of each server.
    let mut steps: Vec<Vec<Option<f64>>> = vec![Vec::new(); STEPS.len()];
    let mut cpu = Vec::new();
    for server in bench.servers {
        let mut rounds = vec![Vec::new(); STEPS.len()];
        let mut used = Vec::new();
        for round in 0..bench.rounds {
            eprintln!("restic works with {}", server.kind.name());
            let before = server.cpu()?;
            let repository = format!("whole-{round}");
            for (number, (_, args)) in STEPS.iter().enumerate() {
                flush();
                rounds[number].push(restic(server, &repository, &data, args).await?);
                // It is of no use, and the next restore is to make its files too.
                let _ = fs::remove_dir_all(data.join("restored"));
            }
            used.push(server.cpu()? - before);
            fs::remove_dir_all(server.path.join(&repository))?;
        }
        for (step, rounds) in steps.iter_mut().zip(rounds) {
            step.push(median(rounds));
        }
        cpu.push(median(used));
    }
    for ((name, _), values) in STEPS.iter().zip(steps) {
        bench.table.add(&format!("restic {name}: s"), Better::Less, values);
    }
    bench.table.add("restic, all of it: CPU s of the server", Better::Less, cpu);
    Ok(())
}

/// Runs restic; returns how many seconds it took.
async fn restic(server: &Server, repository: &str, data: &Path, args: &[&str]) -> Result<f64, BoxError> {
    let url = format!("rest:http://{}/{repository}/", server.address);
    let mut command = Command::new("restic-new");
    command.args(["--no-cache", "--quiet", "--repo", &url]).args(args).current_dir(data).kill_on_drop(true);
    command.env("RESTIC_PASSWORD", "secret").env("HOME", data).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let output = command.output().await.map_err(|error| format!("restic-new: {error}"))?;
    if !output.status.success() {
        return Err(format!("restic {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(start.elapsed().as_secs_f64())
}

fn make_data(data: &Path) -> Result<(), BoxError> {
    fs::create_dir_all(data.join("large"))?;
    for number in 0..LARGE_MIB / 64 {
        fs::write(data.join(format!("large/{number}")), noise(number, 64 * MIB))?;
    }
    for number in 0..SMALL_FILES {
        let directory = data.join(format!("small/{}", number / 200));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(number.to_string()), noise(1_000_000 + number, 4096))?;
    }
    Ok(())
}
