"""What kind of disk a path lies on."""

from __future__ import annotations

from pathlib import Path

import psutil

NETWORK = frozenset(
    {"afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
    | {f"fuse.{name}" for name in ("ceph", "gcsfuse", "glusterfs", "juicefs", "mountpoint-s3", "s3fs", "sshfs")}
)
"""File systems that other machines may write to at the same time."""


def network_disk(path: Path) -> str:
    """The name of the network file system on which a path lies, or would lie; nothing if its disk is this machine's."""
    place = path.resolve()
    parts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    mounted = next((folder for folder in (place, *place.parents) if folder in parts), None)
    kind = parts[mounted] if mounted else ""
    return kind if kind in NETWORK else ""
