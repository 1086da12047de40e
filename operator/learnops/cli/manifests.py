"""YAML of Kubernetes objects, as kubectl reads it."""

from typing import Any

import yaml

_DATE = "tag:yaml.org,2002:timestamp"


class NotYAMLError(ValueError):
    """Text that is none; the message ends with the line, where one is to blame."""


class _Loader(yaml.SafeLoader):
    """What looks like a date stays text: JSON, which travels, has no dates."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class has it
        first: [each for each in found if each[0] != _DATE]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def documents_of(text: bytes | str) -> list[Any]:
    """All documents, empty ones as None.

    Raises:
        NotYAMLError: it is no YAML.
    """
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f" (line {mark.line + 1}: {error.problem})"
        raise NotYAMLError(f"is not YAML{where}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise NotYAMLError("is not YAML") from error
    # A number of thousands of digits, brackets in brackets, and what an explicit tag makes of text.
    except (ValueError, RecursionError, LookupError, AttributeError, TypeError) as error:
        raise NotYAMLError("is YAML that cannot be read") from error
