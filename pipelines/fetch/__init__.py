"""Stage `fetch`: bring data sets to `data/raw/<name>`, verified, whole or not at all."""

from pipelines.artifacts.manifest import MANIFEST, Manifest, read_manifest
from pipelines.fetch.mirror import Mirror, load_mirror, mirror_from_environment
from pipelines.fetch.obtain import fetch

__all__ = ["MANIFEST", "Manifest", "Mirror", "fetch", "load_mirror", "mirror_from_environment", "read_manifest"]
