//! etcd under load: through its own lock service, and as the leanest lock that its transactions can make.
//!
//! The few messages that this takes are written by hand, with the numbers of etcd's protocol.

use std::net::SocketAddr;
use std::path::Path;

use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use crate::BoxError;
use crate::load::{Client, Load};
use crate::process::{Peer, free_address, retry};

const LEASE_GRANT: &str = "/etcdserverpb.Lease/LeaseGrant";
const LOCK: &str = "/v3lockpb.Lock/Lock";
const UNLOCK: &str = "/v3lockpb.Lock/Unlock";
const TXN: &str = "/etcdserverpb.KV/Txn";
const DELETE_RANGE: &str = "/etcdserverpb.KV/DeleteRange";

/// Longer than any run: no lease is renewed while something is measured.
const LEASE_SECONDS: i64 = 3600;

#[derive(Clone, PartialEq, Message)]
struct LeaseGrantRequest {
    #[prost(int64, tag = "1")]
    ttl: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LeaseGrantResponse {
    #[prost(int64, tag = "2")]
    id: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LockRequest {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(int64, tag = "2")]
    lease: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LockResponse {
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct UnlockRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

/// Whether a key was created at a revision; 0 means that it is absent.
#[derive(Clone, PartialEq, Message)]
struct Compare {
    /// 0 is EQUAL.
    #[prost(int32, tag = "1")]
    result: i32,
    /// 1 is CREATE.
    #[prost(int32, tag = "2")]
    target: i32,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(int64, optional, tag = "5")]
    create_revision: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
    #[prost(int64, tag = "3")]
    lease: i64,
}

#[derive(Clone, PartialEq, Message)]
struct RequestOp {
    #[prost(message, optional, tag = "2")]
    put: Option<PutRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    success: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Message)]
struct TxnResponse {
    #[prost(bool, tag = "2")]
    succeeded: bool,
}

#[derive(Clone, PartialEq, Message)]
struct DeleteRangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

/// An answer of which only the arrival counts.
#[derive(Clone, PartialEq, Message)]
struct Ignored {}

/// A running etcd.
pub(crate) struct Etcd {
    pub(crate) peer: Peer,
    address: SocketAddr,
}

pub(crate) async fn start(data: &Path) -> Result<Etcd, BoxError> {
    std::fs::create_dir_all(data)?;
    let (client, peer) = (free_address()?, free_address()?);
    let flags = [
        ("--name", "bench".to_owned()),
        ("--data-dir", data.join("data").display().to_string()),
        ("--listen-client-urls", format!("http://{client}")),
        ("--advertise-client-urls", format!("http://{client}")),
        ("--listen-peer-urls", format!("http://{peer}")),
        ("--initial-advertise-peer-urls", format!("http://{peer}")),
        ("--initial-cluster", format!("bench=http://{peer}")),
    ];
    let args: Vec<String> = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect();
    let flushes = "etcd_disk_wal_fsync_duration_seconds_count ";
    let peer = Peer::start("etcd", &args, &data.join("server.log"), client, flushes)?;
    let etcd = Etcd { peer, address: client };
    let one = Load { clients: 1, per_connection: 1, is_contended: false };
    retry(|| async { etcd.lock_clients(one).await.map(drop) }).await?;
    Ok(etcd)
}

impl Etcd {
    pub(crate) async fn lock_clients(&self, load: Load) -> Result<Vec<LockClient>, BoxError> {
        let mut clients = Vec::new();
        for channel in load.connect(self.address).await? {
            let mut connection = Connection { grpc: Grpc::new(channel) };
            let lease = connection.lease().await?;
            clients.push(LockClient { connection, lease });
        }
        Ok(clients)
    }

    pub(crate) async fn txn_clients(&self, load: Load) -> Result<Vec<TxnClient>, BoxError> {
        let clients = self.lock_clients(load).await?;
        Ok(clients.into_iter().map(|LockClient { connection, lease }| TxnClient { connection, lease }).collect())
    }
}

struct Connection {
    grpc: Grpc<Channel>,
}

impl Connection {
    async fn call<Q, A>(&mut self, path: &'static str, request: Q) -> Result<A, BoxError>
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        self.grpc.ready().await?;
        let codec: ProstCodec<Q, A> = ProstCodec::default();
        let answer = self.grpc.unary(tonic::Request::new(request), PathAndQuery::from_static(path), codec).await?;
        Ok(answer.into_inner())
    }

    async fn lease(&mut self) -> Result<i64, BoxError> {
        let lease: LeaseGrantResponse = self.call(LEASE_GRANT, LeaseGrantRequest { ttl: LEASE_SECONDS }).await?;
        Ok(lease.id)
    }
}

/// Lock and Unlock of etcd's lock service, under one lease for each client.
pub(crate) struct LockClient {
    connection: Connection,
    lease: i64,
}

impl Client for LockClient {
    async fn pair(&mut self, key: &str) -> Result<(), BoxError> {
        let request = LockRequest { name: key.as_bytes().to_vec(), lease: self.lease };
        let lock: LockResponse = self.connection.call(LOCK, request).await?;
        let Ignored {} = self.connection.call(UNLOCK, UnlockRequest { key: lock.key }).await?;
        Ok(())
    }
}

/// A key that is created if absent, under a lease, and deleted. No queue, no waiting.
pub(crate) struct TxnClient {
    connection: Connection,
    lease: i64,
}

impl Client for TxnClient {
    async fn pair(&mut self, key: &str) -> Result<(), BoxError> {
        let key = format!("txn/{key}").into_bytes();
        let is_absent = Compare { result: 0, target: 1, key: key.clone(), create_revision: Some(0) };
        let put = PutRequest { key: key.clone(), value: Vec::new(), lease: self.lease };
        let request = TxnRequest { compare: vec![is_absent], success: vec![RequestOp { put: Some(put) }] };
        let answer: TxnResponse = self.connection.call(TXN, request).await?;
        if !answer.succeeded {
            return Err("the lock was not granted".into());
        }
        let Ignored {} = self.connection.call(DELETE_RANGE, DeleteRangeRequest { key }).await?;
        Ok(())
    }
}
