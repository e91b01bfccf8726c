//! Families of metrics, as they are written.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use proxy_conn::histogram::Snapshot;

/// The labels of one metric, in their order.
pub(super) type Labels<'l> = &'l [(&'static str, &'l str)];

/// Where families are written to.
#[derive(Debug)]
pub(super) struct Scrape<'a>(DescriptorEncoder<'a>);

/// A family that has its name, and gets its metrics.
#[derive(Debug)]
pub(super) struct Family<'s>(MetricEncoder<'s>);

const SECONDS: Unit = Unit::Seconds;
const BYTES: Unit = Unit::Bytes;

impl<'a> Scrape<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<Family<'s>, fmt::Error> {
        // The unit is the end of the name.
        let of = |unit: &'static Unit, end| name.strip_suffix(end).map(|name| (name, Some(unit)));
        let named = of(&SECONDS, "_seconds").or_else(|| of(&BYTES, "_bytes"));
        let (name, unit) = named.unwrap_or((name, None));
        self.0.encode_descriptor(name, help, unit, kind).map(Family)
    }

    /// A family of counters. `_total` is added to the name.
    pub(super) fn counter<'s>(&'s mut self, name: &'s str, help: &str) -> Result<Family<'s>, fmt::Error> {
        self.family(name, help, MetricType::Counter)
    }

    /// A family of gauges.
    pub(super) fn gauge<'s>(&'s mut self, name: &'s str, help: &str) -> Result<Family<'s>, fmt::Error> {
        self.family(name, help, MetricType::Gauge)
    }

    /// A family of histograms.
    pub(super) fn histogram<'s>(&'s mut self, name: &'s str, help: &str) -> Result<Family<'s>, fmt::Error> {
        self.family(name, help, MetricType::Histogram)
    }

    /// What never changes. `_info` is added to the name.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: Labels<'_>) -> fmt::Result {
        self.family(name, help, MetricType::Info)?.0.encode_info(&labels)
    }
}

impl Family<'_> {
    fn one(
        &mut self,
        labels: Labels<'_>,
        write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        if labels.is_empty() { write(&mut self.0) } else { write(&mut self.0.encode_family(&labels)?) }
    }

    /// One counter.
    pub(super) fn count(&mut self, labels: Labels<'_>, value: impl EncodeCounterValue + Copy) -> fmt::Result {
        self.one(labels, |encoder| encoder.encode_counter::<NoLabelSet, _, u64>(&value, None))
    }

    /// One gauge.
    pub(super) fn is(&mut self, labels: Labels<'_>, value: impl EncodeGaugeValue + Copy) -> fmt::Result {
        self.one(labels, |encoder| encoder.encode_gauge(&value))
    }

    /// One histogram, of values of which `a_unit` are one of the family's unit.
    pub(super) fn has(&mut self, labels: Labels<'_>, snapshot: &Snapshot, a_unit: f64) -> fmt::Result {
        let bounds = snapshot.cumulative().map(|(bound, _)| bound);
        let bound = |bound: Option<u64>| bound.map_or(f64::INFINITY, |bound| bound as f64 / a_unit);
        let buckets: Vec<_> = bounds.map(bound).zip(snapshot.buckets().iter().copied()).collect();
        let sum = snapshot.sum() as f64 / a_unit;
        self.one(labels, |encoder| {
            encoder.encode_histogram::<NoLabelSet>(sum, snapshot.count(), &buckets, None)
        })
    }
}
