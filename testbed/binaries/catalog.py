"""What is built, from which module, with which flags."""

import dataclasses
import hashlib
import platform
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

_HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Family:
    """Binaries that one pinned Go module builds; its folder has go.mod and go.sum and no code."""

    name: str
    module: str
    packages: Mapping[str, str]  # binary -> Go package of its main
    tags: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()  # -X assignments; {version}, {major} and {minor} are filled in

    @property
    def folder(self) -> Path:
        """Where go.mod and go.sum are."""
        return _HERE / self.name

    @cached_property
    def version(self) -> str:
        """The version go.mod pins, without the leading v."""
        gomod = (self.folder / "go.mod").read_text()
        found = re.search(rf"^(?:require )?\s*{re.escape(self.module)} v(\S+)", gomod, re.M)
        if found is None:
            raise ValueError(f"{self.folder / 'go.mod'} does not require {self.module}")
        return found.group(1)

    @property
    def ldflags(self) -> str:
        """Linker flags: no debug tables, and the version where the program reports one."""
        major, minor, _ = self.version.split(".", 2)
        values = {"version": self.version, "major": major, "minor": minor}
        return " ".join(["-s", "-w", *(f"-X {v.format(**values)}" for v in self.variables)])

    @cached_property
    def key(self) -> str:
        """Name of the cache folder: changes with the modules, the flags and the platform."""
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            digest.update((self.folder / name).read_bytes())
        digest.update(repr((self.ldflags, self.tags, sorted(self.packages.items()))).encode())
        digest.update(f"{platform.system()}/{platform.machine()}".encode())
        return f"{self.name}-{self.version}-{digest.hexdigest()[:16]}"


FAMILIES: tuple[Family, ...] = (
    Family(
        name="etcd",
        module="go.etcd.io/etcd/server/v3",
        packages={"etcd": "go.etcd.io/etcd/server/v3"},
    ),
    Family(
        name="prometheus",
        module="github.com/prometheus/prometheus",
        packages={
            "prometheus": "github.com/prometheus/prometheus/cmd/prometheus",
            "promtool": "github.com/prometheus/prometheus/cmd/promtool",
        },
        # Without the cloud discoveries it builds in half the time; file_sd and http_sd stay.
        tags=("remove_all_sd", "netgo"),
        variables=("github.com/prometheus/common/version.Version={version}",),
    ),
    Family(
        name="kubernetes",
        module="k8s.io/kubernetes",
        packages={
            "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
            "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        },
        variables=(
            "k8s.io/component-base/version.gitVersion=v{version}",
            "k8s.io/component-base/version.gitMajor={major}",
            "k8s.io/component-base/version.gitMinor={minor}",
        ),
    ),
)


def family_of(binary: str) -> Family:
    """The family that has this binary; raises KeyError for an unknown name."""
    for family in FAMILIES:
        if binary in family.packages:
            return family
    raise KeyError(binary)
