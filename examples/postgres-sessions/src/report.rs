//! Prints facts, and promises as kept or broken.

use std::fmt::Display;

#[derive(Default)]
pub struct Report {
    broken: u32,
}

impl Report {
    pub fn heading(&self, title: impl Display) {
        println!("\n{title}");
    }

    pub fn fact(&self, fact: impl Display) {
        println!("          {fact}");
    }

    pub fn promise(&mut self, promise: impl Display, is_kept: bool) {
        println!("  {:7} {promise}", if is_kept { "kept" } else { "BROKEN" });
        self.broken += u32::from(!is_kept);
    }

    /// Prints the summary, and returns whether all promises were kept.
    pub fn end(self) -> bool {
        match self.broken {
            0 => println!("\nEvery promise was kept."),
            count => println!("\n{count} promises were broken."),
        }
        self.broken == 0
    }
}
