"""The flag that rewrites the golden logs."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register it once for the session."""
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files")
