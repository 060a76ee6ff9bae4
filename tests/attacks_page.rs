//! `docs/attacks.md` says of each attack which tests show it. The page and the tests must agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules whose every test the page must name.
const MODULES_OF_ATTACKS: &[&str] =
    &["authorization::attacks", "token::attacks", "session::attacks", "discovery::attacks"];

#[test]
fn the_documentation_names_tests_that_exist() {
    let mut named = BTreeSet::new();
    let document = read("docs/attacks.md");
    for row in document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attack |")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        let tests: Vec<_> = cells[3].split('`').skip(1).step_by(2).collect();
        assert_eq!(tests.is_empty(), cells[3].starts_with("left to the caller"), "neither or both: {row}");
        for test in tests {
            let (place, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("no `place::test`: {row}"));
            assert!(is_in(place, name), "there is no test {test}");
            named.insert(test.to_owned());
        }
    }
    for module in MODULES_OF_ATTACKS {
        for name in tests_of(&read(&file_of(module))) {
            assert!(named.contains(&format!("{module}::{name}")), "the page lacks {module}::{name}");
        }
    }
}

/// Returns whether the test is in the place that the page names.
#[track_caller]
fn is_in(place: &str, name: &str) -> bool {
    match place {
        "compile_fail" => root().join(format!("tests/compile_fail/{name}.rs")).exists(),
        // Each flow is a function that the table of flows names.
        "servers" => read("tests/support/flows.rs").contains(&format!("run: {name}")),
        "sources" => sources(&root().join("src")).iter().any(|source| tests_of(source).contains(&name)),
        module => tests_of(&read(&file_of(module))).contains(&name),
    }
}

/// The file of a test module: the path below `tests`.
fn file_of(module: &str) -> String {
    format!("tests/{}.rs", module.replace("::", "/"))
}

/// The names of the tests in a source.
#[track_caller]
fn tests_of(source: &str) -> Vec<&str> {
    let after_attributes = source.split("#[test]\n").skip(1);
    after_attributes.map(|rest| rest.split_once("fn ").unwrap().1.split_once('(').unwrap().0).collect()
}

/// Every source in a folder and in the folders below it.
#[track_caller]
fn sources(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![read_path(&path)] }).collect()
}

#[track_caller]
fn read(path: &str) -> String {
    read_path(&root().join(path))
}

#[track_caller]
fn read_path(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}
