//! The house rules that can be measured, held for the whole workspace.

use std::path::{Path, PathBuf};
use tools::tidy::{Ratchet, Source, arrows, readers, sizes, without_headline};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn source() -> Source {
    Source::read(&root()).expect("the workspace can be read")
}

fn none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_owns() {
    none(&without_headline(&source()));
}

#[test]
fn the_arrows_between_crates_point_one_way() {
    none(&arrows::broken(&source()));
}

#[test]
fn files_and_functions_stay_within_the_house_rules() {
    let (files, functions) = (sizes::files(&source()), sizes::functions(&source()));
    let (median, p90, function_p90) = (files.percentile(50), files.percentile(90), functions.percentile(90));
    println!("files: median {median}, p90 {p90} lines; functions: p90 {function_p90} lines");
    assert!(median <= 200, "median of files is {median} lines");
    assert!(p90 <= 500, "p90 of files is {p90} lines");
    assert!(function_p90 <= 35, "p90 of functions is {function_p90} lines");
}

#[test]
fn every_setting_is_read_where_it_is_to_have_its_effect() {
    none(&readers::unread(&source()));
}

#[test]
fn the_worst_values_only_improve() {
    let file = root().join("tools/tidy.ratchet");
    let recorded =
        Ratchet::parse(&std::fs::read_to_string(&file).expect("tools/tidy.ratchet")).expect("three values");
    let (measured, places) = Ratchet::measure(&source());
    println!("{places}\n{measured:?}, recorded {recorded:?}");
    none(&recorded.worsened(&measured));
    if std::env::var_os("DURAMEN_TIDY_RECORD").is_some() {
        std::fs::write(&file, recorded.improved(&measured).text()).expect("tools/tidy.ratchet is writable");
    }
}
