//! How fast record batches become Parquet bytes: each codec, and how small. One core,
//! processor time.
//!
//! Throughput is of the raw COPY bytes that the batches came from, so that it compares with
//! `decode`; the sizes are printed once.

use std::hint::black_box;
use std::time::Duration;

use arrow_array::RecordBatch;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgsluice::codec::{
    BatchLimits, Compression, CopyDecoder, MappingOptions, ParquetEncoder, ParquetOptions,
    map_table,
};

#[path = "../src/copy/wire_rows.rs"]
mod wire_rows;
mod workload;

use workload::cpu_time::CpuTime;

/// Raw bytes of each stream.
const STREAM_BYTES: usize = 64 << 20;

fn decode(columns: &[pgsluice::codec::Column], stream: &[u8]) -> Vec<RecordBatch> {
    let mapping = map_table(columns, &MappingOptions::default()).expect("the names differ");
    let mut decoder = CopyDecoder::new(&mapping, BatchLimits::default());
    decoder.push(stream).expect("the stream is well-formed");
    let mut batches = Vec::new();
    while let Some(batch) = decoder.take_batch().expect("the stream is well-formed") {
        batches.push(batch);
    }
    batches
}

fn encode(batches: &[RecordBatch], options: &ParquetOptions) -> u64 {
    let mut encoder =
        ParquetEncoder::new(batches[0].schema(), options).expect("every type has a Parquet form");
    for batch in batches {
        encoder.write(batch).expect("the batches have the schema");
        while let Some(chunk) = encoder.take_encoded() {
            black_box(chunk);
        }
    }
    encoder.finish().expect("the encoder did not fail").1.bytes
}

fn bench_encode(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("encode");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    for workload in workload::tables() {
        let (stream, _) = workload::stream(workload.columns.len(), workload.row, STREAM_BYTES);
        let batches = decode(&workload.columns, &stream);
        group.throughput(Throughput::Bytes(stream.len() as u64));
        for compression in [
            "none", "lz4", "snappy", "zstd:1", "zstd:3", "gzip:6", "brotli:1",
        ] {
            let options = ParquetOptions {
                compression: compression
                    .parse::<Compression>()
                    .expect("the codec exists"),
                sorted_by: Some(0),
                ..ParquetOptions::default()
            };
            let bytes = encode(&batches, &options);
            println!(
                "{}/{compression}: {} -> {bytes} bytes",
                workload.name,
                stream.len()
            );
            group.bench_function(BenchmarkId::new(workload.name, compression), |bencher| {
                bencher.iter(|| encode(&batches, &options));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = bench_encode
}
criterion_main!(benches);
