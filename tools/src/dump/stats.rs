//! `stats`: sizes of batches and entries, padding waste, compression.

use super::filter::Filter;
use super::list::{codec_name, kind_name};
use super::out::Out;
use super::progress::Progress;
use super::source::Source;
use super::trouble::Trouble;
use crate::row;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Two digits are enough for sizes.
const DIGITS: u8 = 2;

struct Sizes(Histogram<u64>);

impl Sizes {
    fn new() -> Self {
        Self(Histogram::new(DIGITS).expect("two digits are allowed"))
    }

    fn add(&mut self, value: u64) {
        self.0.record(value).expect("it grows by itself");
    }
}

struct Figures {
    batch_bytes: Sizes,
    batch_records: Sizes,
    entry_bytes: Sizes,
    entry_batches: Sizes,
    /// Zeros that an entry carries: before and behind its batches.
    entry_padding: Sizes,
    total_bytes: u64,
    padding_bytes: u64,
    head_bytes: u64,
    kinds: BTreeMap<&'static str, (u64, u64)>,
    codecs: BTreeMap<String, (u64, u64)>,
}

pub fn stats(source: &Source, filter: &Filter, out: &mut Out<'_>) -> Result<u8, Trouble> {
    let mut figures = Figures {
        batch_bytes: Sizes::new(),
        batch_records: Sizes::new(),
        entry_bytes: Sizes::new(),
        entry_batches: Sizes::new(),
        entry_padding: Sizes::new(),
        total_bytes: 0,
        padding_bytes: 0,
        head_bytes: 0,
        kinds: BTreeMap::new(),
        codecs: BTreeMap::new(),
    };
    let code = super::walk::entries(source, false, &Progress::over([source]), |_, _, entry| {
        figures.add(entry, filter);
        Ok(ControlFlow::Continue(()))
    })?;
    figures.show(out)?;
    Ok(code)
}

impl Figures {
    fn add(&mut self, entry: &super::scan::Entry<'_>, filter: &Filter) {
        let header = entry.header();
        let batches: Vec<_> = entry.descriptors().iter().filter(|batch| filter.takes(batch)).collect();
        if batches.is_empty() && !filter.is_open() {
            return;
        }
        let entry_bytes = header.entry_bytes() as u64;
        let padding = entry_bytes - header.head_bytes() as u64 - u64::from(header.body_bytes.get());
        self.total_bytes += entry_bytes;
        self.padding_bytes += padding;
        self.head_bytes += header.head_bytes() as u64;
        add(&mut self.kinds, kind_name(header.kind()), entry_bytes);
        if !batches.is_empty() {
            self.entry_bytes.add(entry_bytes);
            self.entry_batches.add(u64::from(header.count.get()));
            self.entry_padding.add(padding);
        }
        for batch in batches {
            self.batch_bytes.add(u64::from(batch.bytes.get()));
            self.batch_records.add(u64::from(batch.record_count.get()));
            add(&mut self.codecs, codec_name(batch.attributes.get()), u64::from(batch.bytes.get()));
        }
    }

    fn show(&self, out: &mut Out<'_>) -> Result<(), Trouble> {
        let sizes = [
            ("batch bytes", &self.batch_bytes),
            ("records per batch", &self.batch_records),
            ("entry bytes", &self.entry_bytes),
            ("batches per entry", &self.entry_batches),
            ("padding bytes per entry", &self.entry_padding),
        ];
        for (what, Sizes(sizes)) in sizes {
            out.row(row! {
                "what" => what,
                "count" => sizes.len(),
                "min" => sizes.min(),
                "median" => sizes.value_at_quantile(0.5),
                "p90" => sizes.value_at_quantile(0.9),
                "p99" => sizes.value_at_quantile(0.99),
                "max" => sizes.max(),
                "mean" => (sizes.mean() * 10.0).round() / 10.0,
            })?;
        }
        let percent = |bytes: u64| (bytes as f64 * 1000.0 / self.total_bytes.max(1) as f64).round() / 10.0;
        let parts =
            [("padding", self.padding_bytes), ("heads", self.head_bytes), ("all entries", self.total_bytes)];
        for (what, bytes) in parts {
            out.row(row! { "what" => what, "bytes" => bytes, "percent" => percent(bytes) })?;
        }
        for (kind, (count, bytes)) in &self.kinds {
            out.row(row! { "kind" => kind, "entries" => count, "bytes" => bytes })?;
        }
        for (codec, (count, bytes)) in &self.codecs {
            out.row(row! { "compression" => codec, "batches" => count, "bytes" => bytes })?;
        }
        Ok(())
    }
}

fn add<K: Ord>(to: &mut BTreeMap<K, (u64, u64)>, key: K, bytes: u64) {
    let (count, sum) = to.entry(key).or_default();
    *count += 1;
    *sum += bytes;
}
