"""What Postgres does for each statement that an adapter sends: its plan, and what it reads.

Nothing is copied: a cursor explains the very text and values that the adapter passes, in a
savepoint that is rolled back, and then lets the statement run.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer
from psycopg.pq import TransactionStatus

from learnops.adapters.postgres.connection import Pool, make_pool

_EXPLAINABLE = re.compile(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\b")
_WIDER = {21: 23, 1005: 1007}  # smallint is sent as integer, and so are arrays of it
_TOUCHED = """
SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables WHERE seq_tup_read > 0
"""


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One execution. `wanted` is how many rows the caller asked it for or gave it.

    `nested` counts the rows that it, its triggers and its checks of foreign keys have read one by
    one, by table. `kept`: by a plan that was made while all tables were empty.
    """

    text: str
    plan: dict[str, Any]
    wanted: int
    nested: dict[str, int]
    kept: bool

    def nodes(self) -> Iterator[dict[str, Any]]:
        """The plan's nodes, as far as they were needed."""
        return (node for node in _nodes(self.plan) if node["Actual Loops"])

    @property
    def blocks(self) -> int:
        """8 KiB blocks that it looked at, in memory or not."""
        return int(self.plan["Shared Hit Blocks"] + self.plan["Shared Read Blocks"])

    @property
    def rows(self) -> float:
        """Rows that it looked at in tables, those it had no use for included."""
        return sum(
            (node["Actual Rows"] + _removed(node)) * node["Actual Loops"]
            for node in self.nodes()
            if "Relation Name" in node and "Scan" in node["Node Type"]
        )

    @property
    def compared(self) -> float:
        """Rows and pairs of rows that joins, and lists kept in memory, looked at in vain: no table
        is read for them, so they are in neither `blocks` nor `rows`."""
        return sum(
            (node.get("Rows Removed by Join Filter", 0) + _in_memory(node)) * node["Actual Loops"]
            for node in self.nodes()
        )


def _in_memory(node: dict[str, Any]) -> float:
    return 0 if "Relation Name" in node else _removed(node)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


def _removed(node: dict[str, Any]) -> float:
    return float(
        node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    )


@dataclass(kw_only=True)
class Recorder:
    """Explains what goes through its pool. `keep`: by plans that are kept, see `keep_plans`."""

    keep: bool = False
    found: list[Explained] = field(default_factory=list)
    asked: dict[tuple[str, tuple[int, ...]], Sequence[bytes | None]] = field(default_factory=dict)
    wanted: int = 1
    _names: dict[tuple[str, tuple[int, ...]], str] = field(default_factory=dict)

    def pool(self, url: str) -> Pool:
        """One connection, made as the product makes it."""
        recorder = self

        class Explaining(psycopg.AsyncCursor[Any]):
            async def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
                if isinstance(query, str) and _EXPLAINABLE.match(query):
                    await recorder.explain(self.connection, query, params)
                return await super().execute(query, params, **how)

            async def executemany(self, query: Any, params_seq: Any, **how: Any) -> Any:
                rows = list(params_seq)
                await recorder.explain(self.connection, query, rows[0])
                return await super().executemany(query, rows, **how)

        pool = make_pool(url, application="explained", max_size=1)
        assert isinstance(pool.kwargs, dict)
        pool.kwargs["cursor_factory"] = Explaining
        # It is opened right after a million rows were written: the server has a lot to do.
        pool.kwargs["connect_timeout"] = pool.timeout = 60
        # A bad plan is to be told of, not to end the walk.
        pool.kwargs["options"] += " -c statement_timeout=120s"
        return pool

    @contextmanager
    def asking(self, rows: int) -> Iterator[None]:
        """What follows asks each statement for so many rows, or gives it so many."""
        self.wanted = rows
        yield
        self.wanted = 1

    async def explain(
        self, connection: psycopg.AsyncConnection[Any], query: str, params: Any
    ) -> None:
        """Explain one statement where it stands, and leave no trace of it."""
        converted = _converted(connection, query, params)
        key = (converted.query.decode(), tuple(_wide(it) for it in converted.types))
        values = [None if it is None else bytes(it) for it in converted.params or ()]
        self.asked[key] = values
        name = self._names.get(key)
        plain = psycopg.AsyncCursor(connection)
        begin, undo = _of_no_trace(connection)
        await plain.execute(begin)
        before = await _touched(plain)
        if self.keep and name is not None:
            await plain.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            await plain.execute(_execute(name, values, analyze=True))
        else:
            how = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
            await plain.execute(how + query, params)  # type: ignore[arg-type]
        row = await plain.fetchone()
        after = await _touched(plain)
        nested = {name: after[name] - before.get(name, 0) for name in after}
        await plain.execute(undo)
        assert row is not None
        told = row[0] if isinstance(row[0], list) else json.loads(row[0])
        self.found.append(
            Explained(
                text=query,
                plan=told[0]["Plan"],
                wanted=self.wanted,
                nested={name: rows for name, rows in nested.items() if rows > 0},
                kept=self.keep and name is not None,
            )
        )

    async def keep_plans(self, pool: Pool, known: "Recorder") -> None:
        """Plan all statements that `known` has seen on the pool's connection, and keep the plans,
        as a client does that prepares its statements."""
        async with pool.connection() as connection:
            plain = psycopg.AsyncCursor(connection)
            await plain.execute("SET plan_cache_mode = force_generic_plan")
            for (text, types), values in known.asked.items():
                name = f"kept_{hashlib.sha256(f'{text}{types}'.encode()).hexdigest()[:16]}"
                await plain.execute(_prepare(name, text, types))
                await plain.execute(_execute(name, values, analyze=False))
                self._names[text, types] = name
            await plain.execute("SET plan_cache_mode = auto")


def _of_no_trace(connection: psycopg.AsyncConnection[Any]) -> tuple[LiteralString, LiteralString]:
    """What to say before and after: a single statement stands in no transaction of its caller."""
    if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        return "BEGIN", "ROLLBACK"
    return "SAVEPOINT explained", "ROLLBACK TO SAVEPOINT explained"


async def _touched(plain: psycopg.AsyncCursor[Any]) -> dict[str, int]:
    """Rows read one by one so far in this transaction, by table."""
    await plain.execute(_TOUCHED)
    return dict(await plain.fetchall())


def _converted(connection: Any, query: str, params: Any) -> PostgresQuery:
    """As psycopg sends it, with every value as text."""
    converted = PostgresQuery(Transformer(connection))
    converted.convert(re.sub(r"%(\(\w+\))?s", r"%\1t", query), params)
    return converted


def _wide(oid: int) -> int:
    """psycopg takes the smallest type that holds a number: then each size has its own plan."""
    return _WIDER.get(oid, oid)


def _prepare(name: str, text: str, types: tuple[int, ...]) -> sql.Composed:
    told = sql.SQL(", ").join(sql.SQL(_type_name(oid)) for oid in types)  # type: ignore[arg-type]
    of = sql.SQL("({})").format(told) if types else sql.SQL("")
    return sql.SQL("PREPARE {} {} AS {}").format(sql.Identifier(name), of, sql.SQL(text))  # type: ignore[arg-type]


def _type_name(oid: int) -> str:
    found = psycopg.adapters.types.get(oid)
    if found is None:
        return "unknown"
    return f"{found.name}[]" if found.array_oid == oid else found.name


def _execute(name: str, values: Sequence[bytes | None], *, analyze: bool) -> sql.Composed:
    how = "ANALYZE, BUFFERS, " if analyze else ""
    literals = sql.SQL(", ").join(
        sql.Literal(None if value is None else value.decode()) for value in values
    )
    called = sql.SQL("({})").format(literals) if values else sql.SQL("")
    explain = sql.SQL(f"EXPLAIN ({how}FORMAT JSON) EXECUTE ")  # type: ignore[arg-type]
    return explain + sql.Identifier(name) + called
