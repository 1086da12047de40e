"""Who else writes an object's spec: a change made past git would be undone."""

from learnops.cli.cluster.session import CommandError, Json
from learnops.cli.cluster.states import name_of

_FLUX = {"kustomize": "Kustomization", "helm": "HelmRelease"}


def owner(found: Json) -> str | None:
    """The GitOps controller's object that applies this one, None where there is none."""
    metadata = found["metadata"]
    labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
    for tool, kind in _FLUX.items():
        name = labels.get(f"{tool}.toolkit.fluxcd.io/name")
        if name:
            namespace = labels.get(f"{tool}.toolkit.fluxcd.io/namespace", "")
            return f"Flux {kind} {namespace}/{name}"
    tracking = annotations.get("argocd.argoproj.io/tracking-id")
    return f"Argo CD application {tracking.partition(':')[0]}" if tracking else None


def refuse_managed(found: Json, *, change: str) -> None:
    """Raises CommandError where a GitOps controller would revert the change."""
    by = owner(found)
    if by is not None:
        which = f"{found['kind']} {name_of(found)}"
        raise CommandError(f"{which} is applied by {by}, which would undo it: {change} in git")
