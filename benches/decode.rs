//! How fast binary COPY becomes record batches: each type family, then mixes. One core, processor time.
//!
//! Throughput is of raw COPY bytes. Rows arrive one a push, as the PostgreSQL protocol sends
//! them, except in `whole`, which pushes 64 KiB at a time.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgsluice::codec::{BatchLimits, CopyDecoder, MappingOptions, TableMapping, map_table};

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

fn decode<'a>(mapping: &TableMapping, pieces: impl Iterator<Item = &'a [u8]>) -> u64 {
    let mut decoder = CopyDecoder::new(mapping, BatchLimits::default());
    for piece in pieces {
        decoder.push(piece).expect("the stream is well-formed");
        while decoder.is_batch_ready() {
            black_box(decoder.take_batch().expect("the stream is well-formed"));
        }
    }
    while let Some(batch) = decoder.take_batch().expect("the stream is well-formed") {
        black_box(batch);
    }
    decoder.finish().expect("the stream is whole").rows
}

fn bench_decode(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("decode");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(2));
    for Workload { name, columns, row } in families().into_iter().chain(tables()) {
        let mapping = map_table(&columns, &MappingOptions::default()).expect("the names differ");
        let (stream, ends) = workload::stream(columns.len(), row, STREAM_BYTES);
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(BenchmarkId::new("rows", name), |bencher| {
            bencher.iter(|| {
                let starts = std::iter::once(0).chain(ends.iter().copied());
                decode(
                    &mapping,
                    starts.zip(&ends).map(|(start, end)| &stream[start..*end]),
                )
            });
        });
        group.bench_function(BenchmarkId::new("whole", name), |bencher| {
            bencher.iter(|| decode(&mapping, stream.chunks(64 << 10)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = bench_decode
}
criterion_main!(benches);
