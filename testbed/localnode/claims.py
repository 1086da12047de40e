"""PersistentVolumeClaims as folders."""

from http import HTTPStatus
from pathlib import Path

from testbed.kubeapi import ApiError, Json, KubeApi
from testbed.localnode.errors import NotYetError, RefusedError

_VOLUMES = "/api/v1/persistentvolumes"


class Claims:
    """Gives each claim that a pod uses a volume of its own: a folder that lives as long as the run.

    The volume is made for the claim and the control plane binds the two, as with a provisioner.
    """

    def __init__(self, api: KubeApi, folder: Path) -> None:
        self._api = api
        self._folder = folder

    def folder(self, namespace: str, name: str) -> Path:
        """The claim's folder; safe from several threads.

        Raises NotYetError until the claim is bound, RefusedError if it is bound to something else.
        """
        path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}"
        claim = self._api.find(path)
        if claim is None:
            raise NotYetError(f"persistentvolumeclaims {name} is not there")
        volume = f"local-{claim['metadata']['uid']}"
        if claim["spec"].get("volumeName", volume) != volume:
            raise RefusedError(
                f"claim {name} is bound to a volume that the local node did not make"
            )
        if claim["spec"].get("volumeMode", "Filesystem") != "Filesystem":
            raise RefusedError(
                f"claim {name}: volumeMode {claim['spec']['volumeMode']}: not supported"
            )
        folder = self._folder / volume
        folder.mkdir(parents=True, exist_ok=True)
        if claim["status"].get("phase") != "Bound":
            self._provide(volume, claim, folder)
            raise NotYetError(f"persistentvolumeclaims {name} is not bound")
        return folder

    def _provide(self, volume: str, claim: Json, folder: Path) -> None:
        meta, spec = claim["metadata"], claim["spec"]
        body = {
            "metadata": {"name": volume},
            "spec": {
                "capacity": spec["resources"]["requests"],
                "accessModes": spec["accessModes"],
                "storageClassName": spec.get("storageClassName", ""),
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": str(folder)},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": meta["namespace"],
                    "name": meta["name"],
                    "uid": meta["uid"],
                },
            },
        }
        try:
            self._api.create(_VOLUMES, body)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:  # made by an earlier try
                raise
