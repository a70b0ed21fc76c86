//! Workers over `/api/v1`, in as much HTTP/1.1 as that needs: keep-alive, bodies with a length.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::BoxError;
use crate::load::{Client, Load, Measured};
use crate::steward::{Steward, Worker};

/// A connection that is kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: BufReader::new(stream), body: Vec::new() })
    }

    /// Sends JSON, or nothing; returns the body of the answer, which has to be a success.
    pub(crate) async fn request(&mut self, method: &str, path: &str, json: &str) -> Result<&[u8], BoxError> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: steward\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len(),
        );
        self.stream.write_all(request.as_bytes()).await?;
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let status = line.trim_end().to_owned();
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        if !status.starts_with("HTTP/1.1 20") {
            return Err(format!("{method} {path}: {status}: {}", String::from_utf8_lossy(&self.body)).into());
        }
        Ok(&self.body)
    }
}

/// Claims a video and completes it.
struct Pairs {
    connection: Connection,
    worker: i32,
}

impl Client for Pairs {
    async fn step(&mut self) -> Result<bool, BoxError> {
        let body = format!(r#"{{"worker_id":{},"worker_type":0,"support_vr":0,"dest_path":null}}"#, self.worker);
        let answer = self.connection.request("POST", "/api/v1/tasks", &body).await?;
        let answer: serde_json::Value = serde_json::from_slice(answer)?;
        let task = answer["data"]["task_id"].as_str().ok_or("a claim without a task")?;
        let path = format!("/api/v1/tasks/{task}");
        let body = format!(r#"{{"worker_id":{},"progress":100.0,"status":2,"elapsed_time":60}}"#, self.worker);
        self.connection.request("PATCH", &path, &body).await?;
        Ok(true)
    }
}

pub(crate) async fn claims(steward: &Steward, workers: &[Worker], load: Load) -> Result<Measured, BoxError> {
    let mut clients = Vec::new();
    for worker in workers {
        clients.push(Pairs { connection: Connection::open(steward.http).await?, worker: worker.id });
    }
    load.drive(clients).await
}

/// Says that it lives.
struct Beats {
    connection: Connection,
    body: String,
}

impl Client for Beats {
    async fn step(&mut self) -> Result<bool, BoxError> {
        self.connection.request("POST", "/api/v1/workers/heartbeat", &self.body).await?;
        Ok(true)
    }
}

pub(crate) async fn heartbeats(steward: &Steward, workers: &[Worker], load: Load) -> Result<Measured, BoxError> {
    let mut clients = Vec::new();
    for worker in workers {
        let body = format!(r#"{{"worker_id":{},"worker_name":"{}"}}"#, worker.id, worker.name);
        clients.push(Beats { connection: Connection::open(steward.http).await?, body });
    }
    load.drive(clients).await
}
