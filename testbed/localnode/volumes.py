"""A pod's volumes as folders, and where they are to be mounted."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from testbed.kubeapi import Json
from testbed.localnode.claims import Claims
from testbed.localnode.errors import NotYetError
from testbed.localnode.sources import Sources

_FILE_MODE = 0o644


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mount:
    """A file or folder of this machine and the path the container sees it at."""

    source: Path
    target: str
    read_only: bool


def mounts(pod: Json, *, folder: Path, sources: Sources, claims: Claims) -> list[Mount]:
    """Fill a folder per volume below ``folder`` and say where each is mounted.

    Raises NotYetError (to be called again: it starts over) and RefusedError.
    """
    spec = pod["spec"]
    made: dict[str, Path] = {}
    written: set[str] = set()  # volumes whose content comes from the API: never writable
    for volume in spec.get("volumes", []):
        name = volume["name"]
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]["claimName"]
            made[name] = claims.folder(pod["metadata"]["namespace"], claim)
            if volume["persistentVolumeClaim"].get("readOnly"):
                written.add(name)
            continue
        made[name] = folder / name
        made[name].mkdir(parents=True, exist_ok=True)
        if "emptyDir" not in volume:
            written.add(name)
            _fill(made[name], volume, sources)
    return [
        Mount(
            source=_source(made[mount["name"]], mount),
            target=mount["mountPath"],
            read_only=mount.get("readOnly", False) or mount["name"] in written,
        )
        for mount in spec["containers"][0].get("volumeMounts", [])
    ]


def _source(folder: Path, mount: Json) -> Path:
    path = folder / str(mount.get("subPath", ""))
    if not path.exists():
        path.mkdir(parents=True)
    return path


def _fill(folder: Path, volume: Json, sources: Sources) -> None:
    if "projected" in volume:
        projected = volume["projected"]
        for source in projected["sources"]:
            _fill_one(folder, source, sources, projected.get("defaultMode", _FILE_MODE))
        return
    kind = next(key for key in volume if key != "name")
    mode = volume[kind].get("defaultMode", _FILE_MODE)
    _fill_one(folder, {kind: volume[kind]}, sources, mode)


def _fill_one(folder: Path, source: Json, sources: Sources, mode: int) -> None:
    kind, detail = next(iter(source.items()))
    if kind == "serviceAccountToken":
        _write(folder / detail["path"], sources.token(detail), mode)
    elif kind == "downwardAPI":
        for item in detail.get("items", []):
            # Kubernetes allows a resourceFieldRef instead; its absence is told as any other field.
            text = sources.field(item.get("fieldRef", {}).get("fieldPath", "resourceFieldRef"))
            _write(folder / item["path"], text.encode(), item.get("mode", mode))
    else:
        read = sources.config_map if kind == "configMap" else sources.secret
        name = detail.get("name") or detail.get("secretName")
        data = read(name, optional=detail.get("optional", False))
        _write_items(folder, data, detail, mode)


def _write_items(folder: Path, data: Mapping[str, bytes], detail: Json, mode: int) -> None:
    items = detail.get("items") or [{"key": key, "path": key} for key in data]
    for item in items:
        if item["key"] in data:
            _write(folder / item["path"], data[item["key"]], item.get("mode", mode))
        elif not detail.get("optional", False):
            raise NotYetError(f"volume {folder.name}: there is no key {item['key']}")


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # of an earlier try, perhaps not writable
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(mode)
