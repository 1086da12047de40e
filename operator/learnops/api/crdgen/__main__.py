"""`python -m learnops.api.crdgen [--check]`: write what is generated, or fail on a difference."""

import argparse
import difflib
import sys
from pathlib import Path

from learnops.api.crdgen.render import CRD_HEADER, generated_files


def main() -> int:
    """0: written, or nothing differs; 1: `--check` found a difference and printed it."""
    parser = argparse.ArgumentParser(prog="python -m learnops.api.crdgen", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (default: here)")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    args = parser.parse_args()
    return check(args.root) if args.check else write(args.root)


def write(root: Path) -> int:
    """Write each generated file and remove CRDs whose model is gone."""
    files = generated_files()
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
    for stale in _left_over(root, files):
        stale.unlink()
    return 0


def check(root: Path) -> int:
    """Print how the files differ from what the models say now."""
    files = generated_files()
    wrong = [path for path, content in files.items() if _differs(root / path, path, content)]
    wrong += [str(path.relative_to(root)) for path in _left_over(root, files)]
    if not wrong:
        return 0
    sys.stderr.write(f"not what the models say: {', '.join(wrong)}\nrun `make crds` and commit\n")
    return 1


def _differs(target: Path, path: str, content: str) -> bool:
    found = target.read_text(encoding="utf-8") if target.exists() else ""
    diff = difflib.unified_diff(
        found.splitlines(keepends=True), content.splitlines(keepends=True), path, f"{path} (new)"
    )
    sys.stderr.writelines(diff)
    return found != content


def _left_over(root: Path, files: dict[str, str]) -> list[Path]:
    """CRD files that we generated once and no longer do."""
    return [
        path
        for path in sorted((root / "crds").glob("*.yaml"))
        if str(path.relative_to(root)) not in files
        and path.read_text(encoding="utf-8").startswith(CRD_HEADER)
    ]


if __name__ == "__main__":
    sys.exit(main())
