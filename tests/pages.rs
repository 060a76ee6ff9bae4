//! `docs/attacks.md` says of each attack which tests show it, the guide *Specifications* says so of each section
//! that the wider part implements, and `docs/conformance.md` of each module of a suite. The pages and the tests
//! must agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "pages/requirements.rs"]
mod requirements;

/// The modules whose every test `docs/attacks.md` must name.
const MODULES_OF_ATTACKS: &[&str] = &[
    "authorization::attacks",
    "token::attacks",
    "session::attacks",
    "discovery::attacks",
    "challenge::attacks",
    "client_auth::attacks",
];

/// The folders whose every test with a section in its name the guide must name.
const FOLDERS_OF_SECTIONS: &[&str] = &[
    "challenge",
    "client_auth",
    "discovery",
    "dpop",
    "fapi",
    "grants",
    "keys",
    "management",
    "oidc",
    "registration",
];

/// The beginnings of names with a section in them.
const SECTIONS: &[&str] = &["rfc", "draft_", "openid_", "mcp_", "fapi2_"];

#[test]
fn the_page_of_attacks_names_tests_that_exist() {
    let named = named_tests("docs/attacks.md", "| attack |");
    for module in MODULES_OF_ATTACKS {
        for name in tests_of(&read(&file_of(module))) {
            assert!(named.contains(&format!("{module}::{name}")), "the page lacks {module}::{name}");
        }
    }
}

#[test]
fn the_guide_of_specifications_names_each_test_of_a_section() {
    let named = named_tests("src/guide/specifications.md", "| specification |");
    for folder in FOLDERS_OF_SECTIONS {
        for (module, source) in modules(folder) {
            let tests = tests_of(&source).into_iter();
            for name in tests.filter(|name| SECTIONS.iter().any(|section| name.starts_with(section))) {
                assert!(named.contains(&format!("{module}::{name}")), "the guide lacks {module}::{name}");
            }
        }
    }
}

/// The tests restate modules of a suite by others, each under the module's name.
#[test]
fn the_page_of_conformance_names_each_module_that_is_tested() {
    let named = named_tests("docs/conformance.md", "| module |");
    let mut tests = BTreeSet::new();
    for (module, source) in modules("conformance") {
        tests.extend(tests_of(&source).into_iter().map(|name| format!("{module}::{name}")));
    }
    assert_eq!(named, tests);
    for row in read("docs/conformance.md").lines().filter(|line| line.starts_with("| `")) {
        let mut names = row.split('`').skip(1).step_by(2);
        let (module, test) = (names.next().unwrap(), names.last().unwrap());
        assert!(test.ends_with(&format!("::{}", module.replace('-', "_"))), "{row}");
    }
}

/// The tests that the last column of a page's table names. Each of them exists.
#[track_caller]
fn named_tests(page: &str, head: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for row in read(page).lines().filter(|line| line.starts_with("| ") && !line.starts_with(head)) {
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
    assert!(!named.is_empty(), "{page} names no test");
    named
}

/// The modules of a test and their sources.
#[track_caller]
fn modules(folder: &str) -> Vec<(String, String)> {
    let mut modules = Vec::new();
    for entry in fs::read_dir(root().join("tests").join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        match path.is_dir() {
            true => modules.extend(self::modules(&format!("{folder}/{name}"))),
            false => modules.push((format!("{folder}/{name}").replace('/', "::"), read_path(&path))),
        }
    }
    modules
}

/// Returns whether the test is in the place that the page names.
#[track_caller]
fn is_in(place: &str, name: &str) -> bool {
    match place {
        "compile_fail" => root().join(format!("tests/compile_fail/{name}.rs")).exists(),
        // Each flow is a function that the table of flows names.
        "servers" => sources(&root().join("tests/support"))
            .iter()
            .any(|source| source.contains(&format!("run: {name}"))),
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
