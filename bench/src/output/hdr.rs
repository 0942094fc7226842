//! A log of histograms, one each second, that HdrHistogram's own tools read: values in
//! microseconds, with the tags latency, service and end-to-end.

use crate::stats::result::Moment;
use crate::trouble::{Outcome, Trouble};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub struct HdrLog {
    path: PathBuf,
    file: File,
    begun: bool,
}

impl HdrLog {
    pub fn create(path: &Path) -> Outcome<Self> {
        let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { path: path.to_owned(), file, begun: false })
    }

    /// Appends one second.
    pub fn moment(&mut self, moment: &Moment) -> Outcome<()> {
        let mut text = Vec::new();
        let failed = |error: &dyn std::fmt::Debug| cannot_write(&self.path, &format!("{error:?}"));
        let mut serializer = V2DeflateSerializer::new();
        let mut builder = IntervalLogWriterBuilder::new();
        if !self.begun {
            builder.add_comment("[Histogram log format version 1.3]");
            builder.add_comment("duramen-bench, microseconds").with_start_time(SystemTime::now());
        }
        let mut log = builder.begin_log_with(&mut text, &mut serializer).map_err(|error| failed(&error))?;
        let start = Duration::from_secs_f64((moment.at_seconds - moment.seconds).max(0.0));
        let duration = Duration::from_secs_f64(moment.seconds);
        let interval = &moment.interval;
        for (name, spread) in [
            ("latency", &interval.latency),
            ("service", &interval.service),
            ("end-to-end", &interval.end_to_end),
        ] {
            if !spread.0.is_empty() {
                let tag = Tag::new(name).expect("no comma and no space");
                log.write_histogram(&spread.0, start, duration, Some(tag)).map_err(|error| failed(&error))?;
            }
        }
        self.begun = true;
        self.file.write_all(&text).map_err(|error| cannot_write(&self.path, &error))
    }

    pub fn finish(&mut self) -> Outcome<()> {
        self.file.flush().map_err(|error| cannot_write(&self.path, &error))
    }
}

pub fn cannot_write(path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::Usage(format!("{} cannot be written: {error}", path.display()))
}
