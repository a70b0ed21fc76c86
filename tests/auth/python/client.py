"""Takes a lock over TLS with a client that is generated on the spot, and says how that went.

usage: client.py PROTO_DIRECTORY SERVER_ADDRESS CA [--authorization TEXT] [--cert FILE --key FILE]
"""

import argparse
import sys
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).parents[2] / "common/python"))
from generated import generate  # noqa: E402

PATIENCE = 60  # seconds for any one call, so that a hanging server ends the test


def read(path):
    return Path(path).read_bytes() if path else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("protos")
    parser.add_argument("address")
    parser.add_argument("ca")
    parser.add_argument("--authorization")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    args = parser.parse_args()
    generate(args.protos, "steward/lock/v1")
    from steward.lock.v1 import lock_pb2, lock_service_pb2 as api, lock_service_pb2_grpc as service

    credentials = grpc.ssl_channel_credentials(read(args.ca), read(args.key), read(args.cert))
    metadata = [("authorization", args.authorization)] if args.authorization else []
    with grpc.secure_channel(args.address, credentials) as channel:
        locks = service.LockServiceStub(channel)
        for resource in ("alice/python", "bob/python"):
            key = lock_pb2.LockKey(type="pull", resource_id=resource)
            request = api.AcquireRequest(key=key, owner="alice")
            try:
                answer = locks.Acquire(request, metadata=metadata, timeout=PATIENCE)
                print(resource, api.AcquireStatus.Name(answer.status))
            except grpc.RpcError as error:
                print(resource, error.code().name)


main()
