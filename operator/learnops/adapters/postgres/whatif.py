"""Past runs of a doer as columns, read in pieces in one read-only transaction.

Rows come as binary COPY of numbers alone, each of the same size, so that a piece is an array
without a step for each of its values. What is no number (policy, tenant, weights) comes as its
place in a list that was read before, in the same snapshot.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.types.json import Jsonb

from learnops.adapters.postgres.schema import SchemaMismatchError, refuse_unless_head
from learnops.adapters.postgres.units import TERM_COLUMNS

Floats = NDArray[np.float64]
Reader = psycopg.Connection[tuple[Any, ...]]
PIECE_RUNS = 50_000
MAX_GROUPS = 10_000

_HEADER_BYTES = 19  # of binary COPY: signature, flags, length of the extension
_OF_DOER: LiteralString = """
FROM runs r JOIN crl_results c ON c.namespace = r.namespace AND c.run_id = r.run_id
WHERE r.namespace = {namespace} AND r.doer = {doer}
  AND r.received_at >= now() - make_interval(days => {days})
"""


class TooMuchError(Exception):
    """More than can be told apart in bounded memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A number of a run: its name here, and where it is read from."""

    name: str
    source: sql.Composable


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What runs of a doer were: the policies with their arms, and the weights they were scored by.

    Attributes:
        runs: how many there are of each.
    """

    groups: tuple[tuple[str, str], ...]
    weights: tuple[Mapping[str, float], ...]
    runs: int

    @property
    def extra(self) -> list[str]:
        """Names of the extra terms that runs were scored by."""
        every = {name for weights in self.weights for name in weights}
        return sorted(every - set(TERM_COLUMNS))


@contextmanager
def reading(url: str) -> Iterator[Reader]:
    """One read-only transaction with one snapshot; nothing can be written in it.

    Raises:
        psycopg.Error: the database is away or breaks off.
        SchemaMismatchError: its schema is not this version's.
    """
    with psycopg.connect(
        url, application_name="learnops-crl-replay", connect_timeout=5
    ) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        found = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
        if found is None or not found[0]:
            raise SchemaMismatchError("the database has no learnops schema")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        refuse_unless_head(None if row is None else str(row[0]))
        yield connection


def kept(connection: Reader, *, namespace: str, doer: str, days: int) -> Kept:
    """What there is of the doer, of the last days. Raises TooMuchError."""
    query = sql.SQL("SELECT r.policy, r.arm, c.weights, count(*)" + _OF_DOER + "GROUP BY 1, 2, 3")
    rows = connection.execute(_of(query, namespace, doer, days)).fetchmany(MAX_GROUPS + 1)
    if len(rows) > MAX_GROUPS:
        raise TooMuchError(
            f"these runs have over {MAX_GROUPS:,} different policies and weights; take fewer days"
        )
    weights = list({repr(sorted(row[2].items())): row[2] for row in rows if row[2]}.values())
    return Kept(
        groups=tuple(dict.fromkeys((row[0], row[1]) for row in sorted(rows, key=_by_name))),
        weights=tuple(weights),
        runs=sum(row[3] for row in rows),
    )


def _by_name(row: tuple[Any, ...]) -> tuple[str, str]:
    return row[0], row[1]


def runs_of(
    connection: Reader,
    *,
    namespace: str,
    doer: str,
    days: int,
    columns: Sequence[Column],
) -> Iterator[NDArray[Any]]:
    """Its runs in pieces, as structured arrays of float64 by the names of the columns."""
    query = sql.SQL("SELECT {columns}" + _OF_DOER).format(
        columns=_numbers(columns),
        namespace=sql.Literal(namespace),
        doer=sql.Literal(doer),
        days=sql.Literal(days),
    )
    yield from copied(connection, query, columns)


def scored_columns(known: Kept, tenants: Sequence[str]) -> list[Column]:
    """Who ran, the loss, what it was scored by, and the terms as they were scored."""
    return [
        Column(name="group", source=_group(known.groups)),
        tenant_column(tenants),
        Column(name="loss", source=sql.SQL("c.loss")),
        Column(name="partial", source=sql.SQL("c.partial::int")),
        Column(name="weights", source=_place(sql.SQL("c.weights"), _jsons(known.weights), "jsonb")),
        *(term_column(term) for term in (*TERM_COLUMNS, *known.extra)),
    ]


def term_column(term: str) -> Column:
    """What was reported of a term, normalised as it was scored; of an extra one as well."""
    column = next((it for name, it in TERM_COLUMNS.items() if name == term), None)
    if column is not None:
        return Column(name=term, source=sql.SQL("c.") + sql.Identifier(column))
    return Column(name=term, source=number_in(sql.SQL("c.breakdown"), "terms", term))


def tenant_column(tenants: Sequence[str]) -> Column:
    """The place of a run's tenant among those with weights of their own."""
    literal = sql.Literal(list(tenants))
    return Column(name="tenant", source=_place(sql.SQL("r.tenant"), literal, "text"))


def bundle_column(name: str, *path: str) -> Column:
    """A number of the bundle that was reported."""
    return Column(name=name, source=number_in(sql.SQL("r.bundle"), *path))


def number_in(document: sql.Composable, *path: str) -> sql.Composable:
    """A number in JSON, null where there is none or something else."""
    place = document + sql.SQL(" #> ") + sql.Literal(list(path))
    return sql.SQL("CASE WHEN jsonb_typeof({place}) = 'number' THEN ({place})::float8 END").format(
        place=place
    )


def copied(
    connection: Reader, query: sql.Composable, columns: Sequence[Column]
) -> Iterator[NDArray[Any]]:
    """The rows of a query of `columns` in order, in pieces of at most PIECE_RUNS."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for place, column in enumerate(columns):
        fields += [(f"length {place}", ">i4"), (column.name, ">f8")]
    layout = np.dtype(fields)
    rows: list[bytes] = []
    statement = sql.SQL("COPY ({query}) TO STDOUT (FORMAT BINARY)").format(query=query)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        first = True
        while data := bytes(copy.read()):
            row, first = (data[_HEADER_BYTES:] if first else data), False
            if len(row) >= layout.itemsize:  # the last one is the trailer alone
                rows.append(row[: len(row) // layout.itemsize * layout.itemsize])
            if len(rows) == PIECE_RUNS:
                yield np.frombuffer(b"".join(rows), dtype=layout)
                rows = []
    if rows:
        yield np.frombuffer(b"".join(rows), dtype=layout)


def numbers_of(columns: Sequence[Column]) -> sql.Composable:
    """The list of a SELECT for `copied`: each a float8, NaN where it is null."""
    return _numbers(columns)


def _numbers(columns: Sequence[Column]) -> sql.Composable:
    each = (
        sql.SQL("coalesce(({source})::float8, 'NaN')").format(source=it.source) for it in columns
    )
    return sql.SQL(", ").join(each)


def _of(query: sql.SQL, namespace: str, doer: str, days: int) -> sql.Composed:
    return query.format(
        namespace=sql.Literal(namespace), doer=sql.Literal(doer), days=sql.Literal(days)
    )


def _group(groups: Sequence[tuple[str, str]]) -> sql.Composable:
    names = [f"{arm} {policy}" for policy, arm in groups]
    return _place(sql.SQL("r.arm || ' ' || r.policy"), sql.Literal(names), "text")


def _jsons(weights: Sequence[Mapping[str, float]]) -> sql.Composable:
    return sql.SQL("ARRAY[{}]").format(
        sql.SQL(", ").join(sql.Literal(Jsonb(dict(it))) for it in weights)
    )


def _place(value: sql.Composable, among: sql.Composable, of: LiteralString) -> sql.Composable:
    """From 0; -1 where it is none of them."""
    return sql.SQL("coalesce(array_position({among}::" + of + "[], {value}), 0) - 1").format(
        among=among, value=value
    )
