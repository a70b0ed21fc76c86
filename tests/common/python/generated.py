"""Clients that are generated on the spot, with the stock tools."""

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc


def generate(protos, package):
    """Generates the client of a package, such as steward/lock/v1, and makes it importable."""
    target = tempfile.mkdtemp(prefix="steward-client-")
    well_known = Path(protoc.__file__).parent / "_proto"
    # Every service imports `access.proto`, which says who may call what.
    files = ["steward/auth/v1/access.proto"]
    files += sorted(str(path.relative_to(protos)) for path in Path(protos).glob(f"{package}/*.proto"))
    options = ["protoc", f"-I{protos}", f"-I{well_known}", f"--python_out={target}", f"--grpc_python_out={target}"]
    if protoc.main(options + files) != 0:
        sys.exit("the client cannot be generated")
    sys.path.insert(0, target)
