"""Reads datasets of two columns, `id` and `v`, with one reader and prints every value.

usage: read_types.py READER NAME=FOLDER...

The output is one JSON document: name -> {"rows": {id: value}}, or {"error": text} where the reader
fails. Values are in a form that is exact: every scalar is a text (floats are the hex of their
bits, dates are days and timestamps microseconds since 1970, bytes are hex), a list is an array,
a struct or a map an object. The reader hands over what it read as Arrow, whose integers hold
dates and timestamps that Python's own types cannot.
"""

import glob
import json
import sys

import pyarrow as arrow
from pyarrow import types


def canonical(array):
    """Every value of an Arrow array."""
    kind = array.type
    if isinstance(kind, arrow.BaseExtensionType):
        return canonical(array.storage)
    if types.is_dictionary(kind):
        return canonical(array.dictionary_decode())
    if types.is_floating(kind):
        unsigned = {16: arrow.uint16(), 32: arrow.uint32(), 64: arrow.uint64()}[kind.bit_width]
        digits = kind.bit_width // 4
        return shown(array.view(unsigned), lambda bits: f"{bits:0{digits}x}")
    if types.is_boolean(kind):
        return shown(array, lambda value: "true" if value else "false")
    if types.is_integer(kind):
        return shown(array, str)
    if types.is_decimal(kind):
        return shown(array, lambda value: format(value, "f"))
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return array.to_pylist()
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return shown(array, bytes.hex)
    if types.is_date32(kind):
        return shown(array.cast(arrow.int32()), str)
    if types.is_timestamp(kind):
        return shown(array.cast(arrow.timestamp("us", kind.tz)).cast(arrow.int64()), str)
    return canonical_nested(array)


def shown(array, show):
    return [None if value is None else show(value) for value in array.to_pylist()]


def canonical_nested(array):
    kind = array.type
    valid = array.is_valid().to_pylist()
    if types.is_struct(kind):
        names = [field.name for field in kind]
        # Flattened, a field is NULL wherever the struct is.
        rows = zip(*map(canonical, array.flatten()))
        return [dict(zip(names, row)) if here else None for here, row in zip(valid, rows)]
    if types.is_map(kind):
        items = list(zip(canonical(array.keys), canonical(array.items)))
        return [pairs(part) for part in parts(array, valid, items)]
    if types.is_list(kind) or types.is_large_list(kind):
        found = parts(array, valid, canonical(array.values))
        if is_map_entry(kind.value_type):
            return [
                part if part is None else pairs((item["key"], item["value"]) for item in part)
                for part in found
            ]
        return list(found)
    raise TypeError(f"no canonical form of {kind}")


def parts(array, valid, values):
    """The values of each list, or None."""
    offsets = array.offsets.to_pylist()
    for here, start, end in zip(valid, offsets, offsets[1:]):
        yield values[start:end] if here else None


def pairs(items):
    return None if items is None else dict(items)


def is_map_entry(kind):
    """Polars has no maps: it shows one as a list of its entries."""
    return types.is_struct(kind) and [field.name for field in kind] == ["key", "value"]


def with_pyarrow():
    import pyarrow.parquet as parquet

    return lambda folder: parquet.ParquetDataset(files(folder)).read()


def with_duckdb():
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return lambda folder: connection.read_parquet(files(folder)).to_arrow_table()


def with_polars():
    import polars

    return lambda folder: polars.read_parquet(files(folder)).to_arrow()


def with_spark():
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "1g")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        # As written: without the mark of a Spark that had another calendar, none is assumed.
        .config("spark.sql.parquet.datetimeRebaseModeInRead", "CORRECTED")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    # The folder, not its files: Spark is to pass over what begins with an underscore.
    return lambda folder: session.read.parquet(folder).toArrow()


def files(folder):
    return sorted(glob.glob(f"{glob.escape(folder)}/*.parquet"))


def values(table):
    rows = {}
    for batch in table.to_batches():
        ids = batch.column("id").to_pylist()
        rows.update(zip(map(str, ids), canonical(batch.column("v"))))
    if len(rows) != table.num_rows:
        raise ValueError(f"{table.num_rows} rows with {len(rows)} ids")
    return rows


def main():
    readers = {
        "duckdb": with_duckdb,
        "polars": with_polars,
        "pyarrow": with_pyarrow,
        "spark": with_spark,
    }
    read = readers[sys.argv[1]]()
    seen = {}
    for argument in sys.argv[2:]:
        name, folder = argument.split("=", 1)
        try:
            seen[name] = {"rows": values(read(folder))}
        except Exception as error:  # whatever a reader raises is what the test is about
            seen[name] = {"error": f"{type(error).__name__}: {error}"[:500]}
    json.dump(seen, sys.stdout)


main()
