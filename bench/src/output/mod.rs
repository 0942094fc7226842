//! What people and programs see of a run: a progress line each second and tables on a terminal,
//! JSON lines and HDR logs in files.

pub mod hdr;
pub mod progress;
pub mod table;

use crate::output::hdr::cannot_write;
use crate::run::Watcher;
use crate::stats::result::{Moment, RunResult};
use crate::trouble::{Outcome, Trouble};
use crate::verify::acked::Title;
use crate::verify::judge::Findings;
use hdr::HdrLog;
use progress::Progress;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Everything that is written anywhere.
pub struct Output {
    json: Option<(PathBuf, Box<dyn Write>)>,
    /// JSON lines have stdout: everything else goes to stderr.
    json_on_stdout: bool,
    hdr: Option<HdrLog>,
    progress: Progress,
    trouble: Option<Trouble>,
}

impl Output {
    /// Opens the files, so that a wrong path is told before the load.
    pub fn open(json: Option<&Path>, hdr: Option<&Path>, quiet: bool) -> Outcome<Self> {
        let json_on_stdout = json == Some(Path::new("-"));
        let json: Option<(PathBuf, Box<dyn Write>)> = match json {
            None => None,
            Some(path) if json_on_stdout => Some((path.to_owned(), Box::new(io::stdout()))),
            Some(path) => {
                let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
                Some((path.to_owned(), Box::new(file)))
            }
        };
        let hdr = hdr.map(HdrLog::create).transpose()?;
        Ok(Self { json, json_on_stdout, hdr, progress: Progress::new(quiet), trouble: None })
    }

    /// One line of JSON, if anybody wants it.
    pub fn line(&mut self, line: &str) -> Outcome<()> {
        let Some((path, to)) = &mut self.json else { return Ok(()) };
        let written = writeln!(to, "{line}").and_then(|()| to.flush());
        written.map_err(|error| cannot_write(path, &error))
    }

    /// A sentence for people.
    pub fn say(&self, what: &str) {
        self.progress.say(what);
    }

    fn show(&self, table: &str) {
        self.progress.finish();
        // Nobody has to read it.
        let _ = if self.json_on_stdout {
            writeln!(io::stderr(), "{table}")
        } else {
            writeln!(io::stdout(), "{table}")
        };
    }

    /// The end of a run.
    pub fn result(&mut self, result: &RunResult) -> Outcome<()> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        self.line(&result.json())?;
        if let Some(hdr) = &mut self.hdr {
            hdr.finish()?;
        }
        self.show(&table::result(result));
        Ok(())
    }

    pub fn findings(&self, findings: &Findings, title: &Title) {
        self.show(&table::findings(findings, title));
    }

    /// A line of JSON while a load goes on: what cannot be written is told at its end.
    pub fn second(&mut self, line: &str) {
        if let Err(trouble) = self.line(line) {
            self.trouble.get_or_insert(trouble);
        }
    }

    pub fn text(&self, text: &str) {
        self.show(text);
    }
}

impl Watcher for Output {
    fn moment(&mut self, moment: &Moment) {
        self.progress.moment(moment);
        let mut written = self.line(&moment.json());
        if let Some(hdr) = self.hdr.as_mut().filter(|_| !moment.warmup) {
            written = written.and_then(|()| hdr.moment(moment));
        }
        if let Err(trouble) = written {
            // Told at the end; a full disk does not end a run.
            self.trouble.get_or_insert(trouble);
        }
    }
}
