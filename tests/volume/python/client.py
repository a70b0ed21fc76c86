"""Makes, snapshots, clones and flattens a volume with a client that is generated on the spot.

usage: client.py PROTO_DIRECTORY SERVER_ADDRESS
"""

import sys
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).parents[2] / "common/python"))
from generated import generate  # noqa: E402

PATIENCE = 60  # seconds for any one call, so that a hanging server ends the test
PIECE = 1 << 20


def main(protos, address):
    generate(protos, "steward/volume/v1")
    from steward.volume.v1 import operation_pb2, volume_pb2, volume_service_pb2 as volume
    from steward.volume.v1 import operation_service_pb2 as operation, snapshot_pb2, snapshot_service_pb2 as snapshot
    from steward.volume.v1 import operation_service_pb2_grpc, snapshot_service_pb2_grpc, volume_service_pb2_grpc

    channel = grpc.insecure_channel(address)
    volumes = volume_service_pb2_grpc.VolumeServiceStub(channel)
    snapshots = snapshot_service_pb2_grpc.SnapshotServiceStub(channel)
    operations = operation_service_pb2_grpc.OperationServiceStub(channel)
    disk, name = volume_pb2.VolumeName(path="/disk"), snapshot_pb2.SnapshotName(volume_path="/disk", name="s")

    def write(path, byte):
        yield volume.WriteVolumeRequest(start=volume.WriteStart(volume=volume_pb2.VolumeName(path=path)))
        yield volume.WriteVolumeRequest(data=volume.VolumeData(offset=0, data=byte * PIECE))

    def read(path):
        request = volume.ReadVolumeRequest(volume=volume_pb2.VolumeName(path=path), length=PIECE)
        parts = volumes.ReadVolume(request, timeout=PATIENCE)
        return b"".join(part.data.data for part in parts if part.HasField("data"))

    made = volumes.CreateVolume(volume.CreateVolumeRequest(path="/disk", size_bytes=1 << 30), timeout=PATIENCE)
    print("created:", made.created, made.volume.size_bytes)
    print("written:", volumes.WriteVolume(write("/disk", b"1"), timeout=PATIENCE).data_bytes)
    snapshots.CreateSnapshot(snapshot.CreateSnapshotRequest(volume=disk, name="s"), timeout=PATIENCE)
    volumes.WriteVolume(write("/disk", b"2"), timeout=PATIENCE)
    clone = snapshots.CloneSnapshot(
        snapshot.CloneSnapshotRequest(snapshot=name, destination="/copy"), timeout=PATIENCE
    )
    print("cloned:", volume_pb2.VolumeState.Name(clone.volume.state))
    print("read:", read("/disk") == b"2" * PIECE, read("/copy") == b"1" * PIECE)
    try:
        snapshots.DeleteSnapshot(snapshot.DeleteSnapshotRequest(snapshot=name), timeout=PATIENCE)
    except grpc.RpcError as error:
        print("needed:", error.code().name)
    copy = volume_pb2.VolumeName(path="/copy")
    flatten = volumes.FlattenVolume(volume.FlattenVolumeRequest(volume=copy), timeout=PATIENCE).operation
    for step in operations.WatchOperation(operation.WatchOperationRequest(uuid=flatten.uuid), timeout=PATIENCE):
        flatten = step.operation
    print("flattened:", operation_pb2.OperationState.Name(flatten.state), flatten.progress_percent)
    snapshots.DeleteSnapshot(snapshot.DeleteSnapshotRequest(snapshot=name), timeout=PATIENCE)
    print("read:", read("/copy") == b"1" * PIECE)


main(*sys.argv[1:])
