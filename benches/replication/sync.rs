//! Many images copied from Steward to a stock registry: by Steward, and by `skopeo sync`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::image::Image;
use crate::server::{Kind, Server};
use crate::table::{Row, Table};
use crate::{Args, BoxError, clear, raw, skopeo, taken};

const IMAGE: &str = "many";
const SMALL: usize = 64 * 1024;
const BIG: usize = 64 * 1024 * 1024;

/// Copies all of them to an empty registry, and once more when nothing has changed, by both.
pub(crate) async fn measure(args: &Args, table: &mut Table) -> Result<(), BoxError> {
    let source = Server::start(Kind::Steward, &args.directory.join("source")).await?;
    let name = source.image_name(IMAGE);
    for number in 0..args.small {
        let image = Image::new(10_000 + number as u64, 2, SMALL);
        raw::push(source.address, &name, &image, &format!("small{number}")).await?;
    }
    for number in 0..args.big {
        let image = Image::new(20_000 + number as u64, 4, BIG);
        raw::push(source.address, &name, &image, &format!("big{number}")).await?;
    }
    let mut best: [[f64; 2]; 2] = [[f64::INFINITY; 2]; 2];
    let mut memory = f64::INFINITY;
    for round in 0..args.rounds {
        let home = args.directory.join("target");
        let target = Server::start(Kind::Registry, &home).await?;
        let task = format!("bench{round}");
        create(&source, &target, &task).await?;
        let first = taken(&source, run(&source, &task)).await?;
        let again = taken(&source, run(&source, &task)).await?;
        best[0][0] = best[0][0].min(first.seconds);
        best[1][0] = best[1][0].min(again.seconds);
        memory = memory.min(first.memory);
        drop(target);
        clear(&home);

        let target = Server::start(Kind::Registry, &home).await?;
        for repeated in &mut best {
            let start = Instant::now();
            skopeo::sync(source.address, &name, target.address, "mirror").await?;
            repeated[1] = repeated[1].min(start.elapsed().as_secs_f64());
        }
        drop(target);
        clear(&home);
    }
    let what = format!("copy {} small and {} big images, s", args.small, args.big);
    table.add(Row::less(&what, best[0][0], best[0][1], Some(1.5)));
    table.add(Row::less("the same, unchanged, s", best[1][0], best[1][1], Some(10.0)));
    table.add(Row::alone("copy: MiB over idle", memory, f64::NAN, 64.0));
    Ok(())
}

async fn create(source: &Server, target: &Server, task: &str) -> Result<(), BoxError> {
    let config = json!({
        "name": task, "registry": format!("http://{}/mirror", target.address), "replicaObjectType": "REPOSITORY",
    });
    let path = format!("/replication/api/remote/distribution/create/runOnceTask/{}", Server::place());
    raw::post(source.address, &path, &config.to_string()).await.map(drop)
}

/// Runs a task to its end.
async fn run(source: &Server, task: &str) -> Result<(), BoxError> {
    let base = "/replication/api/remote/distribution";
    let place = Server::place();
    raw::post(source.address, &format!("{base}/execute/runOnceTask/{place}?name={task}"), "").await?;
    loop {
        let path = format!("{base}/get/runOnceTaskStatus/{place}?name={task}");
        let status = raw::call(source.address, "GET", &path, "").await?;
        match status["status"].as_str() {
            Some("SUCCESS") => return Ok(()),
            Some("FAILED") => return Err(format!("the run failed: {status}").into()),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
