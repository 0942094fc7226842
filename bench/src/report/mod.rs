//! `report`: one or several result files become one HTML page with plots. It holds everything it
//! shows and needs no network.

pub mod page;
pub mod plot;
pub mod results;

use crate::trouble::{Outcome, Trouble};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Clone, Debug)]
pub struct Request {
    /// Files written with --json; each becomes a line in every plot
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The page to write
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

pub fn run(request: &Request) -> Outcome<()> {
    let mut runs = Vec::new();
    for file in &request.files {
        runs.append(&mut results::read(file)?);
    }
    let page = page::page(&runs).map_err(|error| Trouble::Usage(format!("no page: {error}")))?;
    std::fs::write(&request.output, page)
        .map_err(|error| Trouble::Usage(format!("{} cannot be written: {error}", request.output.display())))
}
