"""What is wrong with what was given."""

from learnops.cli.inputs import InputError


class EvaluationError(InputError):
    """An input that cannot be evaluated; the message names the place and the field."""


def bad_line(line: int, field: str, problem: str) -> EvaluationError:
    """An error in one line of the log."""
    return EvaluationError(f"line {line}: {field}: {problem}")
