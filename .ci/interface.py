#!/usr/bin/env python3
"""Writes the public interface into docs/public-api.txt, so that each change of it shows in a diff.

python3 .ci/interface.py          writes the file
python3 .ci/interface.py --check  fails if the file differs from the sources, or CHANGELOG.md names an item nowhere

Reads the pages that rustdoc writes with the settings of docs.rs. Their text is the same for many versions of Rust,
unlike rustdoc's JSON, whose form changes with most of them.
"""

import difflib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

FILE = Path("docs/public-api.txt")
TARGET = Path("target/docs.rs")
PAGES = TARGET / "doc/oauth2_proto"
HEADER = """\
# The public interface with all features, as rustdoc shows it. `python3 .ci/interface.py` writes this file.
"""


def main():
    os.chdir(Path(__file__).parent.parent)
    build()
    items = list(interface())
    new = HEADER + "".join(f"\n{item}\n" for item in items)
    if sys.argv[1:] != ["--check"]:
        FILE.write_text(new)
        return
    old = FILE.read_text()
    if old != new:
        diff = difflib.unified_diff(old.splitlines(True), new.splitlines(True), str(FILE), "the sources")
        advice = "\nThe public interface changed. If it should: python3 .ci/interface.py, and CHANGELOG.md."
        sys.exit("".join(diff) + advice)

    # The first line of an item is its path, and the first item is the root.
    names = {item.split("\n")[0].split("::")[-1] for item in items[1:]}
    missing = names - set(re.findall(r"\w+", Path("CHANGELOG.md").read_text()))
    if missing:
        sys.exit(f"CHANGELOG.md does not name {', '.join(sorted(missing))}: say what changed and what to do.")


def build():
    """Builds as docs.rs does. The badges of features need an unstable feature of rustdoc, of Rust 1.92 or later."""
    environment = os.environ | {"RUSTC_BOOTSTRAP": "1", "RUSTDOCFLAGS": "--cfg docsrs -D warnings"}
    command = ["cargo", "doc", "--quiet", "--no-deps", "--all-features", "--target-dir", TARGET]
    subprocess.run(command, env=environment, check=True)


def interface():
    """Yields the re-exports of the root, and then each item in the order of its path."""
    yield "\n".join(["oauth2_proto", *sorted(Page(PAGES / "index.html").lines("reexports"))])
    links = re.findall(r'<li><a href="([^"#]+)">([^<]+)', (PAGES / "all.html").read_text())
    for link, path in sorted(links, key=lambda link: link[1]):
        page = Page(PAGES / link)
        yield "\n".join([path, *page.lines("item"), *page.implementations()])


class Page(HTMLParser):
    """What a page shows of code: `(section, tag, text)` of each declaration, implementation and member."""

    def __init__(self, file):
        super().__init__()
        # The element whose text is being collected, and how many elements of the same name are open in it.
        self.tag, self.depth, self.text = None, 0, []
        self.section, self.found = "item", []
        self.feed(file.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        classes = set((attributes.get("class") or "").split())
        if self.tag:
            self.depth += tag == self.tag
            self.end_line(tag)
        elif tag == "h2" and "section-header" in classes:
            self.section = attributes["id"]
        elif classes & {"item-decl", "code-header", "portability"} or "reexport." in (attributes.get("id") or ""):
            self.tag, self.depth, self.text = tag, 1, []

    def handle_data(self, data):
        if self.tag:
            self.text.append(data)

    def handle_endtag(self, tag):
        self.end_line(tag)
        self.depth -= tag == self.tag
        if tag != self.tag or self.depth:
            return
        text, self.tag = "".join(self.text), None
        if tag == "div":
            # The feature that an item needs stands after it.
            section, tag, item = self.found.pop()
            text = f"{item} // {text}"
        else:
            section = self.section
        self.found.append((section, tag, text))

    def end_line(self, tag):
        """Gives an attribute and a `where` lines of their own."""
        if tag == "div":
            self.text.append("\n")

    def lines(self, section):
        """Returns the declarations of a section with their own line breaks."""
        return [f"    {line}".rstrip() for at, _, text in self.found if at == section for line in lines_of(text)]

    def implementations(self):
        """Returns each implementation with its members, sorted: a move in the sources changes nothing."""
        blocks = {}
        for section, tag, text in self.found:
            if section not in IMPLEMENTATIONS:
                continue
            text = one_line(text)
            if tag == "h3":
                members = blocks.setdefault((IMPLEMENTATIONS.index(section), text), [])
            elif section == "implementations" or text.startswith("type "):
                members.append(text)
        return [
            line
            for (_, implementation), members in sorted(blocks.items())
            if is_told(implementation)
            for line in [f"    {implementation}", *(f"        {member}" for member in sorted(members))]
        ]


# The sections in their order here. Implementations for all types are not told.
IMPLEMENTATIONS = [
    "implementations",
    "trait-implementations",
    "implementors",
    "foreign-impls",
    "synthetic-implementations",
]


def is_told(implementation):
    """Omits traits that no program names, and automatic traits other than Send and Sync."""
    omitted = r"\b(StructuralPartialEq|Freeze|RefUnwindSafe|UnwindSafe|Unpin|UnsafeUnpin) for "
    return not re.search(omitted, implementation)


def lines_of(text):
    # The sign marks types that implement a notable trait.
    return text.replace("ⓘ", " ").strip().split("\n")


def one_line(text):
    text = " ".join(text.replace("ⓘ", " ").split())
    return text.replace("( ", "(").replace(", )", ")")


main()
