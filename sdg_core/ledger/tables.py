"""The ledger's tables. Times are seconds since 1970, UTC; a dataset's version is the name of its directory."""

import sqlalchemy as sa

metadata = sa.MetaData()

migrations = sa.Table(
    "migrations",
    metadata,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("applied_at", sa.Float, nullable=False),
)

cells = sa.Table(
    "cells",
    metadata,
    sa.Column("dataset", sa.String(200), primary_key=True),
    sa.Column("version", sa.String(40), primary_key=True),
    sa.Column("record", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("column_name", sa.String(200), primary_key=True),
    sa.Column("column_hash", sa.String(80), nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sa.Column("usage", sa.LargeBinary, nullable=False),
    sa.Column("run_id", sa.String(80), nullable=False, server_default=""),
    sa.Column("inputs", sa.String(80), nullable=False, server_default=""),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("dataset", sa.String(200), primary_key=True),
    sa.Column("version", sa.String(40), primary_key=True),
    sa.Column("row_group", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("holder", sa.String(300), nullable=False),
    sa.Column("host", sa.String(200), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("taken_at", sa.Float, nullable=False, server_default="0"),
    sa.Column("expires_at", sa.Float, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.String(80), primary_key=True),
    sa.Column("dataset", sa.String(200), primary_key=True, index=True),
    sa.Column("version", sa.String(40), nullable=False),
    sa.Column("resume", sa.String(20), nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("outcome", sa.String(20)),
    sa.Column("generated", sa.BigInteger, nullable=False, default=0),
    sa.Column("replayed", sa.BigInteger, nullable=False, default=0),
    sa.Column("failed", sa.BigInteger, nullable=False, default=0),
    sa.Column("adopted", sa.Integer, nullable=False, default=0),
    sa.Column("written", sa.Integer, nullable=False, default=0),
    sa.Column("message", sa.Text),
)
