"""Reads Parquet files with three readers and prints what each makes of every column.

usage: read_datasets.py NAME=FOLDER...

The output is one JSON document: name -> reader -> {"rows": N, "columns": {column: "N|sum"}}.
N counts values that are not NULL. The sum is exact: of numbers, of microseconds or days since
1970, of true values, of lengths; text also shows its least and greatest value.
"""

import decimal
import glob
import json
import sys
from datetime import date, datetime, timezone

import duckdb
import polars
import pyarrow as arrow
import pyarrow.compute as compute
import pyarrow.parquet as parquet

EPOCH = datetime(1970, 1, 1)
decimal.getcontext().prec = 100  # sums of decimals are exact


def shown(count, *parts):
    return "|".join([str(count), *("" if part is None else str(part) for part in parts)])


def whole(number):
    """A float's shortest form, without a fraction where it has none."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def by_pyarrow(files):
    table = parquet.ParquetDataset(files).read()
    columns = {}
    for name, column in zip(table.column_names, table.columns):
        kind = column.type
        if arrow.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
            kind = column.type
        count = len(column) - column.null_count
        if arrow.types.is_string(kind) or arrow.types.is_large_string(kind):
            text = [value for value in column.to_pylist() if value is not None]
            columns[name] = shown(
                count, sum(map(len, text)), min(text, default=None), max(text, default=None)
            )
            continue
        if arrow.types.is_binary(kind):
            column = compute.binary_length(column)
        elif arrow.types.is_date(kind):
            column = column.cast(arrow.int32())
        elif arrow.types.is_timestamp(kind):
            column = column.cast(arrow.timestamp("us", kind.tz)).cast(arrow.int64())
        # Microseconds of many rows overflow what a native sum holds.
        total = sum(value for value in column.to_pylist() if value is not None)
        columns[name] = shown(count, whole(total))
    return {"rows": table.num_rows, "columns": columns}


def by_duckdb(files):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    relation = connection.read_parquet(files)
    columns = {}
    for name, kind in zip(relation.columns, map(str, relation.types)):
        column = '"' + name.replace('"', '""') + '"'
        if kind == "VARCHAR" or kind.startswith("ENUM"):
            sums = f"sum(length({column})), min({column}), max({column})"
        elif kind == "BLOB":
            sums = f"sum(octet_length({column}))"
        elif kind == "DATE":
            sums = f"sum({column} - DATE '1970-01-01')"
        elif kind.startswith("TIMESTAMP"):
            sums = f"sum(epoch_us({column})::HUGEINT)"
        elif kind == "BOOLEAN":
            sums = f"count(*) FILTER (WHERE {column})"
        else:
            sums = f"sum({column})"
        count, total, *least_and_most = relation.aggregate(f"count({column}), {sums}").fetchone()
        columns[name] = shown(count, whole(total or 0), *least_and_most)
    (rows,) = relation.aggregate("count(*)").fetchone()
    return {"rows": rows, "columns": columns}


def by_polars(files):
    frame = polars.read_parquet(files)
    columns = {}
    for name in frame.columns:
        values = [value for value in frame[name].to_list() if value is not None]
        if frame[name].dtype in (polars.String, polars.Categorical, polars.Enum):
            parts = sum(map(len, values)), min(values, default=None), max(values, default=None)
        elif frame[name].dtype == polars.Binary:
            parts = (sum(map(len, values)),)
        else:
            parts = (whole(sum(map(as_number, values))),)
        columns[name] = shown(len(values), *parts)
    return {"rows": frame.height, "columns": columns}


def as_number(value):
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(timezone.utc).replace(tzinfo=None)
        past = value - EPOCH
        return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds
    if isinstance(value, date):
        return (value - EPOCH.date()).days
    return value


def main():
    readers = {"pyarrow": by_pyarrow, "duckdb": by_duckdb, "polars": by_polars}
    seen = {}
    for argument in sys.argv[1:]:
        name, folder = argument.split("=", 1)
        files = sorted(glob.glob(f"{glob.escape(folder)}/*.parquet"))
        seen[name] = {reader: read(files) for reader, read in readers.items()}
    json.dump(seen, sys.stdout)


main()
