"""Reads one partition of a hive dataset, and tells how many files each reader opened for it.

usage: read_hive.py FOLDER COLUMN VALUE

The output is one JSON document: reader -> {"rows", "sum"} of all rows, {"kept_rows", "kept_sum"}
of those where COLUMN is VALUE, and {"files", "opened"}: how many files there are, and how many of
them the reader scanned for VALUE. Sums are of the column `id`.
"""

import glob
import json
import re
import sys

import duckdb


def by_duckdb(folder, column, value):
    connection = duckdb.connect()
    files = f"{folder}/{column}=*/*.parquet".replace("'", "''")
    source = f"read_parquet('{files}', hive_partitioning = true)"
    kept = f"""FROM {source} WHERE "{column}" = '{value}'"""
    rows, total = connection.execute(f"SELECT count(*), sum(id)::BIGINT FROM {source}").fetchone()
    kept_rows, kept_sum = connection.execute(f"SELECT count(*), sum(id)::BIGINT {kept}").fetchone()
    plan = connection.execute(f"EXPLAIN ANALYZE SELECT count(*), sum(id) {kept}").fetchall()[0][1]
    found = re.search(r"Scanning Files:\s*(\d+)/(\d+)", plan) or re.search(
        r"Total Files Read:\s*(\d+)", plan
    )
    if found is None:
        raise ValueError(f"DuckDB's plan names no files:\n{plan}")
    return told(rows, total, kept_rows, kept_sum, len(glob.glob(files)), int(found.group(1)))


def by_spark(folder, column, value):
    from pyspark.sql import SparkSession, functions

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "1g")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        # Its scan is then found in the plan as it stands.
        .config("spark.sql.adaptive.enabled", "false")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    sums = [functions.count("*"), functions.sum("id")]
    frame = session.read.parquet(folder)
    rows, total = frame.agg(*sums).first()
    kept = frame.where(functions.col(column) == value).agg(*sums)
    kept_rows, kept_sum = kept.collect()[0]
    plan = kept._jdf.queryExecution().executedPlan()
    if f"PartitionFilters: [isnotnull({column}" not in plan.toString():
        raise ValueError(f"Spark's plan filters no partitions:\n{plan.toString()}")
    scan = plan.collectLeaves().apply(0)
    opened = scan.metrics().apply("numFiles").value()
    return told(rows, total, kept_rows, kept_sum, len(frame.inputFiles()), opened)


def told(rows, total, kept_rows, kept_sum, files, opened):
    return {
        "rows": rows,
        "sum": total,
        "kept_rows": kept_rows,
        "kept_sum": kept_sum,
        "files": files,
        "opened": opened,
    }


def main():
    readers = {"duckdb": by_duckdb, "spark": by_spark}
    seen = {reader: read(*sys.argv[1:]) for reader, read in readers.items()}
    json.dump(seen, sys.stdout)


main()
