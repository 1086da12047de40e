"""The id of a tenant's unit, the same in the SDK and the api.

Standard library only, because every agent imports this.
"""


def epoch_of(unix_seconds: float, *, epoch_seconds: int) -> int:
    """The number of the epoch that an instant lies in: epochs begin at multiples of their length
    since 1970-01-01T00:00Z, for every tenant at once."""
    return int(unix_seconds // epoch_seconds)


def tenant_epoch(tenant: str, *, epoch: int) -> str:
    """What is hashed for a tenant in an epoch: each epoch is a draw of its own."""
    return f"{epoch}/{tenant}"
