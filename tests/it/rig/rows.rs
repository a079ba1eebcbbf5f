//! Reads a dataset back through its manifest, with the parquet crate and nothing of pgsluice.

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::Root;

/// The rows of every object that the dataset's manifest lists, in its order. `dataset` is the
/// folder below the root, such as `public/orders`.
pub(crate) fn read_rows(root: &dyn Root, dataset: &str) -> Vec<RecordBatch> {
    let objects = listed_objects(&root.get_json(&format!("{dataset}/_pgsluice/manifest.json")));
    let batches = objects.iter().flat_map(|(key, rows)| {
        let key = format!("{dataset}/{key}");
        let bytes = root
            .get(&key)
            .unwrap_or_else(|| panic!("the manifest lists {key:?}"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(|builder| builder.build())
            .unwrap_or_else(|error| panic!("{key:?}: {error}"));
        let batches: Vec<_> = reader
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{key:?}: {error}"));
        let read: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(
            read as u64, *rows,
            "rows of {key:?}, manifest against object"
        );
        batches
    });
    batches.collect()
}

/// Key and rows of each object that a manifest, or one entry of its log, lists: the elements of
/// every array named `objects`, wherever it stands.
pub(crate) fn listed_objects(json: &Value) -> Vec<(String, u64)> {
    match json {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value {
                Value::Array(objects) if name == "objects" => {
                    objects.iter().map(listed_object).collect()
                }
                other => listed_objects(other),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(listed_objects).collect(),
        _ => Vec::new(),
    }
}

fn listed_object(object: &Value) -> (String, u64) {
    let key = object["key"].as_str().expect("an object's key");
    let rows = object["rows"].as_u64().expect("an object's rows");
    (key.to_owned(), rows)
}

#[test]
fn rows_are_read_through_the_manifest() {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};
    use object_store::ObjectStoreExt;
    use parquet::arrow::ArrowWriter;

    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let parquet = writer.into_inner().unwrap();

    let root = super::TempRoot::new();
    let manifest = serde_json::json!({"chunks": [{"objects": [{"key": "part-0", "rows": 3}]}]});
    for (name, bytes) in [
        ("part-0", parquet),
        ("_pgsluice/manifest.json", manifest.to_string().into()),
    ] {
        let (store, key) = (root.store(), format!("public/t/{name}").into());
        super::wait(async move { store.put(&key, bytes.into()).await }).unwrap();
    }
    assert_eq!(read_rows(&root, "public/t"), [batch]);
}
