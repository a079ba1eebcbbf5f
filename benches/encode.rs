//! How fast record batches become binary COPY again: each type family, then mixes; and what the
//! hash that proves them costs on top. One core, processor time; throughput is of raw COPY bytes.

use std::hint::black_box;
use std::time::Duration;

use arrow_array::RecordBatch;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgsluice::codec::{
    BatchLimits, CopyDecoder, CopyEncoder, MappingOptions, TableMapping, WireDigest, map_table,
};

#[path = "workload/families.rs"]
mod families;
#[path = "../src/copy/wire_rows.rs"]
mod wire_rows;
mod workload;

use families::families;
use workload::cpu_time::CpuTime;
use workload::{Workload, tables};

/// Raw bytes of each stream.
const STREAM_BYTES: usize = 32 << 20;

fn decoded(mapping: &TableMapping, stream: &[u8]) -> (Vec<RecordBatch>, WireDigest) {
    let mut decoder = CopyDecoder::new(mapping, BatchLimits::default());
    decoder.push(stream).expect("the stream is well-formed");
    let mut batches = Vec::new();
    while let Some(batch) = decoder.take_batch().expect("the stream is well-formed") {
        batches.push(batch);
    }
    let summary = decoder.finish().expect("the stream is whole");
    (batches, summary.digest)
}

fn encode(mapping: &TableMapping, batches: &[RecordBatch], mut each: impl FnMut(&[u8], &[u32])) {
    let mut encoder = CopyEncoder::new(mapping);
    for batch in batches {
        encoder
            .encode(batch, &[], &mut each)
            .expect("what was decoded can be encoded");
    }
}

fn digest(mapping: &TableMapping, batches: &[RecordBatch]) -> WireDigest {
    let mut digest = WireDigest::default();
    encode(mapping, batches, |rows, ends| {
        digest.add_rows(rows, ends);
    });
    digest
}

fn bench_encode(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("encode");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(2));
    for Workload { name, columns, row } in families().into_iter().chain(tables()) {
        let mapping = map_table(&columns, &MappingOptions::default()).expect("the names differ");
        let (stream, _) = workload::stream(columns.len(), row, STREAM_BYTES);
        let (batches, sent) = decoded(&mapping, &stream);
        assert_eq!(digest(&mapping, &batches), sent, "{name}");
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(BenchmarkId::new("rows", name), |bencher| {
            bencher.iter(|| {
                encode(&mapping, &batches, |rows, ends| {
                    black_box((rows, ends));
                });
            });
        });
        group.bench_function(BenchmarkId::new("digest", name), |bencher| {
            bencher.iter(|| digest(&mapping, &batches));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = bench_encode
}
criterion_main!(benches);
