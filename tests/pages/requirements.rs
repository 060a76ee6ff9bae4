//! `docs/requirements` lists what each specification demands of a client, and what keeps each demand. The
//! pages, the tests and the crate must agree.

use std::fmt;
use std::fs;

use sha2::{Digest, Sha256};

use super::{is_in, read, read_path, root, sources};

/// The levels of a requirement, the strongest first. The first five bind; the others recommend.
const LEVELS: &[&str] = &[
    "MUST NOT",
    "MUST",
    "SHALL NOT",
    "SHALL",
    "REQUIRED",
    "SHOULD NOT",
    "SHOULD",
    "NOT RECOMMENDED",
    "RECOMMENDED",
];
/// How many of [`LEVELS`] bind.
const BINDING: usize = 5;

#[test]
fn each_requirement_on_a_client_is_kept() {
    for page in pages() {
        for requirement in &page.requirements {
            let strongest = LEVELS.iter().position(|level| requirement.text.contains(level));
            let strongest = strongest.unwrap_or_else(|| panic!("it demands nothing: {requirement}"));
            assert_eq!(LEVELS[strongest], requirement.level, "{requirement}");
            assert!(
                strongest >= BINDING || requirement.kept_by() != Keeper::Nobody,
                "kept by nobody: {requirement}"
            );
            requirement.check_keeper();
        }
    }
}

#[test]
fn no_sentence_of_a_section_is_forgotten() {
    for page in pages() {
        assert!(!page.sections.is_empty(), "{} has no sections", page.name);
        for section in &page.sections {
            assert_eq!(
                section.client + section.others,
                section.sentences,
                "{} §{}",
                page.name,
                section.number
            );
            let listed = page.requirements.iter().filter(|it| it.section == section.number).count();
            assert_eq!(listed, section.client, "requirements of {} §{}", page.name, section.number);
        }
        for requirement in &page.requirements {
            let counted = page.sections.iter().any(|section| section.number == requirement.section);
            assert!(counted, "its section is not counted: {requirement}");
        }
    }
}

/// The README states the figures and the digest of each page, so that no requirement goes or changes its words
/// by mistake.
#[test]
fn the_readme_has_the_figures_of_each_page() {
    let rows: Vec<_> = pages().iter().map(Page::figures).collect();
    let readme = read("docs/requirements/README.md");
    let stated: Vec<_> = readme.lines().filter(|line| line.starts_with("| [")).collect();
    let (rows, stated) = (rows.join("\n"), stated.join("\n"));
    assert!(rows == stated, "docs/requirements/README.md should have these figures:\n{rows}");
}

/// One file of `docs/requirements`.
struct Page {
    name: String,
    sections: Vec<Section>,
    requirements: Vec<Requirement>,
}

/// How many normative sentences a section has, and whom they bind.
struct Section {
    number: String,
    sentences: usize,
    client: usize,
    others: usize,
}

/// A sentence that binds a client.
struct Requirement {
    page: String,
    section: String,
    level: String,
    text: String,
    kept: String,
}

/// What keeps a requirement.
#[derive(Clone, Copy, PartialEq)]
enum Keeper {
    Test,
    Type,
    Caller,
    Nobody,
}

/// Every page, in the order of their names.
#[track_caller]
fn pages() -> Vec<Page> {
    let entries = fs::read_dir(root().join("docs/requirements")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_stem().unwrap() != "README");
    paths.sort();
    assert!(!paths.is_empty(), "docs/requirements has no pages");
    let name = |path: &std::path::Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| Page::parse(name(path), &read_path(path))).collect()
}

impl Page {
    /// Reads the two tables of a page: the first counts, the second lists.
    #[track_caller]
    fn parse(name: String, text: &str) -> Self {
        let mut page = Self { name, sections: Vec::new(), requirements: Vec::new() };
        for row in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| section ")) {
            let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let [section, second, third, fourth] = cells[..] else { panic!("not four cells: {row}") };
            match second.parse() {
                Ok(sentences) => page.sections.push(Section {
                    number: section.to_owned(),
                    sentences,
                    client: third.parse().unwrap_or_else(|_| panic!("no number: {row}")),
                    others: numbers(fourth).sum(),
                }),
                Err(_) => page.requirements.push(Requirement {
                    page: page.name.clone(),
                    section: section.to_owned(),
                    level: second.to_owned(),
                    text: third.to_owned(),
                    kept: fourth.to_owned(),
                }),
            }
        }
        page
    }

    /// Returns the row of this page in the README.
    fn figures(&self) -> String {
        let sentences: usize = self.sections.iter().map(|section| section.sentences).sum();
        let kept_by = |keeper| self.requirements.iter().filter(|it| it.kept_by() == keeper).count();
        format!(
            "| [{name}]({name}.md) | {sentences} | {} | {} | {} | {} | {} | `{}` |",
            self.requirements.len(),
            kept_by(Keeper::Test),
            kept_by(Keeper::Type),
            kept_by(Keeper::Caller),
            kept_by(Keeper::Nobody),
            self.digest(),
            name = self.name,
        )
    }

    /// Returns the first bytes of a digest of what is demanded, without what keeps it.
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for Requirement { section, level, text, .. } in &self.requirements {
            digest.update(format!("{section}\n{level}\n{text}\n"));
        }
        digest.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Requirement {
    /// Returns what keeps the requirement, by the first word of its last cell.
    #[track_caller]
    fn kept_by(&self) -> Keeper {
        let kept = &self.kept;
        if kept.starts_with("test `") {
            Keeper::Test
        } else if kept.starts_with("type `") {
            Keeper::Type
        } else if kept.starts_with("caller: ") {
            Keeper::Caller
        } else if kept.starts_with("nobody: ") {
            Keeper::Nobody
        } else {
            panic!("its keeper is no test, no type, no caller and not nobody: {self}")
        }
    }

    /// Checks that the named tests and types exist, and that a sentence says what the others do.
    #[track_caller]
    fn check_keeper(&self) {
        let (keeper, sentence) = self.kept.split_once(": ").unwrap_or((&self.kept, ""));
        let names: Vec<_> = keeper.split('`').skip(1).step_by(2).collect();
        match self.kept_by() {
            Keeper::Test => {
                for test in names {
                    let (place, name) =
                        test.rsplit_once("::").unwrap_or_else(|| panic!("no `place::test`: {self}"));
                    assert!(is_in(place, name), "there is no test {test}: {self}");
                }
            }
            Keeper::Type => {
                for name in names {
                    assert!(is_public(name), "there is no public {name}: {self}");
                }
                assert!(sentence.ends_with('.'), "no sentence says why it cannot be broken: {self}");
            }
            Keeper::Caller | Keeper::Nobody => assert!(sentence.ends_with('.'), "no sentence: {self}"),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} §{}: {} ({})", self.page, self.section, self.text, self.kept)
    }
}

/// The numbers in a cell such as `server 3, API 1`.
fn numbers(cell: &str) -> impl Iterator<Item = usize> {
    cell.split([' ', ',']).filter_map(|word| word.parse().ok())
}

/// Returns whether the crate declares a public item of this name in the module of this path, or below it.
#[track_caller]
fn is_public(path: &str) -> bool {
    let (module, name) = path.rsplit_once("::").unwrap_or(("", path));
    let module: Vec<_> = module
        .split("::")
        .filter(|part| part.starts_with(|first: char| first.is_ascii_lowercase()))
        .collect();
    let folder = root().join("src").join(module.join("/"));
    let mut texts = if folder.is_dir() { sources(&folder) } else { Vec::new() };
    let file = folder.with_extension("rs");
    if file.exists() {
        texts.push(read_path(&file));
    }
    let declares = |line: &str| {
        ["pub struct ", "pub enum ", "pub trait ", "pub fn "].iter().any(|kind| {
            let rest = line.trim_start().strip_prefix(kind).and_then(|rest| rest.strip_prefix(name));
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
        })
    };
    texts.iter().any(|text| text.lines().any(declares))
}
