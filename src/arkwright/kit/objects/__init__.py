"""The object store: immutable files, addressed by key, on any fsspec file system."""

from arkwright.kit.objects.store import ObjectStore, WorkspaceObjects, disk_problem

__all__ = ["ObjectStore", "WorkspaceObjects", "disk_problem"]
