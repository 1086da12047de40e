"""What is wrong with what was given."""


class EvaluationError(Exception):
    """An input that cannot be evaluated; the message names the place and the field."""


def bad_line(line: int, field: str, problem: str) -> EvaluationError:
    """An error in one line of the log."""
    return EvaluationError(f"line {line}: {field}: {problem}")
