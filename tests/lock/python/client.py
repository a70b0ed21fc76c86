"""Takes a lock with a client that is generated on the spot, and loses it by expiry.

usage: client.py PROTO_DIRECTORY SERVER_ADDRESS
"""

import sys
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration

sys.path.insert(0, str(Path(__file__).parents[2] / "common/python"))
from generated import generate  # noqa: E402

PATIENCE = 60  # seconds for any one call, so that a hanging server ends the test


def main(protos, address):
    generate(protos, "steward/lock/v1")
    from steward.lock.v1 import lock_pb2, lock_service_pb2 as api, lock_service_pb2_grpc as service

    key = lock_pb2.LockKey(type="pull", resource_id="sha256:python")
    locks = service.LockServiceStub(grpc.insecure_channel(address))

    def word(enum, number):
        """The name of an enum value, without its prefix."""
        prefix = {api.AcquireStatus: "ACQUIRE_STATUS_", lock_pb2.LockEventKind: "LOCK_EVENT_KIND_"}[enum]
        return enum.Name(number).removeprefix(prefix)

    def acquire(owner, **more):
        return locks.Acquire(api.AcquireRequest(key=key, owner=owner, **more), timeout=PATIENCE)

    first = acquire("python-1", ttl=Duration(seconds=2))
    print("python-1 acquires:", word(api.AcquireStatus, first.status))
    print("python-2 tries:", word(api.AcquireStatus, acquire("python-2").status))
    queued = acquire("python-2", policy=api.WAIT_POLICY_ENQUEUE)
    print("python-2 enqueues:", word(api.AcquireStatus, queued.status), "at", queued.queue_position)

    for step in locks.Watch(api.WatchRequest(key=key), timeout=PATIENCE):
        if step.HasField("snapshot"):
            print("watch: snapshot, held by", step.snapshot.holders[0].owner)
        if step.HasField("event"):
            print("watch:", word(lock_pb2.LockEventKind, step.event.kind), step.event.owner)
            if step.event.kind == lock_pb2.LOCK_EVENT_KIND_ASSIGNED:
                break

    try:
        locks.Release(api.ReleaseRequest(key=key, grant_id=first.grant.grant_id), timeout=PATIENCE)
    except grpc.RpcError as error:
        print("python-1 releases:", error.code().name, reason(error))
    check = api.CheckFencingTokenRequest(key=key, fencing_token=first.grant.fencing_token)
    print("python-1's token is current:", locks.CheckFencingToken(check, timeout=PATIENCE).is_current)

    second = acquire("python-2")
    is_greater = second.grant.fencing_token > first.grant.fencing_token
    print("python-2 claims:", word(api.AcquireStatus, second.status), "with a greater token" if is_greater else "")
    done = api.ReleaseRequest(key=key, grant_id=second.grant.grant_id, outcome=lock_pb2.OUTCOME_SUCCEEDED)
    locks.Release(done, timeout=PATIENCE)
    print("python-2 releases: SUCCEEDED")
    skipped = acquire("python-1")
    print(f"python-1 acquires: {word(api.AcquireStatus, skipped.status)}, done by {skipped.completion.owner}")


def reason(error):
    """The reason for programs, as the error's details have it."""
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    return "NOT_HOLDER" if b"NOT_HOLDER" in details else repr(details)


if __name__ == "__main__":
    main(*sys.argv[1:])
