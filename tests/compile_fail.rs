//! The mistakes that the types forbid: each file in `compile_fail` has one line that must not compile.
//!
//! That line ends in `//~` and the code of the compiler's error. The rest of the file must compile, so that a
//! case cannot fail for another reason. Only line and code are compared, because the texts change with the
//! compiler.

#![allow(clippy::disallowed_methods, reason = "a test asks its environment which cargo runs it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// File name, line and error code.
type Mistakes = BTreeMap<String, BTreeSet<(u64, String)>>;

#[test]
fn what_the_types_forbid_does_not_compile() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (sources, expected) = read_cases(&crate_root.join("tests/compile_fail"));
    assert!(!expected.is_empty());

    // One package with a program for each case, whose dependencies the crate's own build has downloaded.
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let _ = fs::remove_dir_all(package.join("src"));
    fs::create_dir_all(package.join("src/bin")).unwrap();
    for (name, source) in sources {
        fs::write(package.join("src/bin").join(name), source).unwrap();
    }
    fs::write(package.join("Cargo.toml"), manifest(crate_root)).unwrap();
    let lock = crate_root.join("Cargo.lock");
    if lock.exists() {
        fs::copy(lock, package.join("Cargo.lock")).unwrap();
    }

    let output = Command::new(env!("CARGO"))
        .args(["check", "--bins", "--keep-going", "--offline", "--quiet", "--message-format=json"])
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(package.join("target"))
        .output()
        .unwrap();
    let found = mistakes(&output.stdout);
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(&output.stderr));
}

fn manifest(crate_root: &Path) -> String {
    format!(
        "[package]\nname = \"compile-fail\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\noauth2-proto = {{ path = {crate_root:?}, default-features = false }}\n\
         serde = {{ version = \"1\", default-features = false }}\n"
    )
}

/// The text of each file, and the mistake that it marks.
#[track_caller]
fn read_cases(folder: &Path) -> (BTreeMap<String, String>, Mistakes) {
    let (mut sources, mut expected) = (BTreeMap::new(), Mistakes::new());
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let source = fs::read_to_string(&path).unwrap();
        let marked = source.lines().zip(1..).filter_map(|(line, number)| {
            line.split_once("//~ ").map(|(_, code)| (number, code.trim().to_owned()))
        });
        expected.insert(name.clone(), marked.collect());
        sources.insert(name, source);
    }
    assert!(expected.values().all(|marked| marked.len() == 1), "a case has one line that is marked");
    (sources, expected)
}

/// The errors in cargo's JSON messages, which come one a line.
#[track_caller]
fn mistakes(output: &[u8]) -> Mistakes {
    let mut mistakes = Mistakes::new();
    for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let report: Value = serde_json::from_slice(line).unwrap();
        let message = &report["message"];
        // The number of errors at the end has no code. An error without a place counts too.
        let Some(code) = message["code"]["code"].as_str().filter(|_| message["level"] == "error") else {
            continue;
        };
        let spans = message["spans"].as_array().unwrap();
        let span = spans.iter().find(|span| span["is_primary"] == true).unwrap_or(&Value::Null);
        let file = span["file_name"].as_str().unwrap_or_default();
        let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let line = span["line_start"].as_u64().unwrap_or_default();
        mistakes.entry(name).or_default().insert((line, code.to_owned()));
    }
    mistakes
}
