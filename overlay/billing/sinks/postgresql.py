"""Billing records in a PostgreSQL table, one row for each dialog.

In: rows. Out: the table, which is made if it does not exist. A row may come any number of times,
and the highest revision stays. Counterpart: the operator's database. A broken connection is made
anew. While the database is away, rows wait in the node's own storage.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql

from overlay.billing.columns import COLUMNS, BilledRow
from overlay.billing.sinks.sink import SinkError
from overlay.records.billed import Kind

CONNECT_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_S: Final = 30.0

_TYPES: Final = {
    Kind.WORD: "text NOT NULL",
    Kind.NAME: "text NOT NULL",
    Kind.TEXT: "text NOT NULL",
    Kind.NUMBER: "integer NOT NULL",
    Kind.TIME: "timestamptz",
    Kind.SECONDS: "numeric(12, 3) NOT NULL",
}
_DEFAULTS: Final = {
    Kind.WORD: "DEFAULT ''",
    Kind.NAME: "DEFAULT ''",
    Kind.TEXT: "DEFAULT ''",
    Kind.NUMBER: "DEFAULT 0",
    Kind.TIME: "",
    Kind.SECONDS: "DEFAULT 0",
}
"""The default of a column that a table with rows lacks."""
_KEY: Final = "id"
_INDEXED: Final = ("callid", "start_time", "caller")


class PostgresqlSink:
    """One table of one database."""

    def __init__(self, address: str, table: str) -> None:
        self._address = address
        self._table = table
        self._connection: psycopg.AsyncConnection | None = None
        self._insert = _insert(table)

    @property
    def name(self) -> str:
        return f"postgresql {self._table}"

    async def take(self, rows: Sequence[BilledRow]) -> None:
        # If a batch has several rows with one id, the last is the latest. One statement may not
        # touch a row twice.
        values = {row.id: _values(row) for row in rows}
        try:
            async with asyncio.timeout(STATEMENT_TIMEOUT_S):
                connection = await self._connected()
                async with connection.transaction(), connection.cursor() as cursor:
                    await cursor.executemany(self._insert, list(values.values()))
        except (psycopg.Error, OSError, TimeoutError) as error:
            await self.close()
            raise SinkError(_reason(error)) from error

    async def tick(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is not None and not self._connection.broken:
            return self._connection
        connection = await psycopg.AsyncConnection.connect(
            self._address,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="sipfarm",
        )
        self._connection = connection
        await connection.execute("SET client_min_messages = warning")
        # Two nodes may do this at once, and PostgreSQL's IF NOT EXISTS is not safe against that.
        await connection.execute("SELECT pg_advisory_lock(hashtext('sipfarm cdr'))")
        try:
            for statement in _schema(self._table):
                await connection.execute(statement)
        finally:
            await connection.execute("SELECT pg_advisory_unlock(hashtext('sipfarm cdr'))")
        return connection


def _schema(table: str) -> list[sql.Composed]:
    name = _identifier(table)
    kinds = {column: declared.kind for column, declared in COLUMNS.items()}
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            sql.Identifier(column), sql.SQL("text PRIMARY KEY" if column == _KEY else _TYPES[kind])
        )
        for column, kind in kinds.items()
    )
    statements = [sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(name, columns)]
    # A table of an earlier version lacks the columns added since.
    statements += [
        sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {} {}").format(
            name, sql.Identifier(column), sql.SQL(_TYPES[kind]), sql.SQL(_DEFAULTS[kind])
        )
        for column, kind in kinds.items()
        if column != _KEY
    ]
    short = table.rpartition(".")[2]
    statements += [
        sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})").format(
            sql.Identifier(f"{short}_{column}"), name, sql.Identifier(column)
        )
        for column in _INDEXED
    ]
    return statements


def _insert(table: str) -> sql.Composed:
    changed = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column))
        for column in COLUMNS
        if column != _KEY
    )
    return sql.SQL(
        "INSERT INTO {table} AS held ({columns}) VALUES ({values}) ON CONFLICT (id) DO UPDATE "
        "SET {changed} WHERE excluded.revision >= held.revision"
    ).format(
        table=_identifier(table),
        columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
        values=sql.SQL(", ").join(sql.Placeholder() for _ in COLUMNS),
        changed=changed,
    )


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def _values(row: BilledRow) -> list[object]:
    return [_value(getattr(row, name), column.kind) for name, column in COLUMNS.items()]


def _value(value: object, kind: Kind) -> object:
    return None if kind is Kind.TIME and not value else value


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {STATEMENT_TIMEOUT_S:g} s"
    # Only the first line: libpq adds hints after it. It never names the password.
    return (str(error).strip() or type(error).__name__).splitlines()[0]
