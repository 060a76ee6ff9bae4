//! The result of each flow at each server, as a table that docs/servers.md holds too.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The lines of docs/servers.md before and after the table.
const BEGIN: &str = "<!-- begin of the servers' matrix -->\n";
const END: &str = "<!-- end of the servers' matrix -->\n";

/// The result of one flow at one server.
#[derive(Clone, Copy)]
pub enum Cell {
    /// The flow went as it should, and took so long.
    Done(Duration),
    /// The server does not offer it.
    NotOffered,
    /// The flow failed, or the server does not start.
    Failed,
    /// The server is not installed.
    Skipped,
}

/// A row for each flow and a column for each server.
pub struct Matrix {
    servers: Vec<&'static str>,
    flows: Vec<&'static str>,
    /// By server and flow; a flow without a value was not run.
    cells: Mutex<Cells>,
}

type Cells = BTreeMap<(&'static str, &'static str), Cell>;

impl Matrix {
    /// A matrix in which nothing was run.
    pub fn new(
        servers: impl Iterator<Item = &'static str>,
        flows: impl Iterator<Item = &'static str>,
    ) -> Self {
        Self { servers: servers.collect(), flows: flows.collect(), cells: Mutex::default() }
    }

    pub fn set(&self, server: &'static str, flow: &'static str, cell: Cell) {
        self.cells().insert((server, flow), cell);
    }

    /// Returns the time of each flow that went as it should, the longest first.
    pub fn times(&self) -> Vec<(Duration, &'static str, &'static str)> {
        let cells = self.cells();
        let times = cells.iter().filter_map(|((server, flow), cell)| match cell {
            Cell::Done(time) => Some((*time, *server, *flow)),
            _ => None,
        });
        let mut times: Vec<_> = times.collect();
        times.sort_by(|one, other| other.cmp(one));
        times
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares the table in docs/servers.md with this one.
    pub fn is_on_page(&self) -> Result<(), String> {
        let page = include_str!("../../docs/servers.md");
        let table = page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(table, _)| table);
        match table {
            Some(table) if table == self.to_string() => Ok(()),
            Some(_) => Err("docs/servers.md holds another matrix: put the one above there".to_owned()),
            None => Err(format!("docs/servers.md lacks the lines {BEGIN}and {END}")),
        }
    }
}

impl Display for Matrix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let cells = self.cells();
        writeln!(f, "| flow | {} |", self.servers.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.servers.len()))?;
        for flow in &self.flows {
            write!(f, "| {flow} |")?;
            for server in &self.servers {
                let word = match cells.get(&(*server, *flow)) {
                    Some(Cell::Done(_)) => "done",
                    Some(Cell::NotOffered) => "not offered",
                    Some(Cell::Failed) => "failed",
                    Some(Cell::Skipped) => "skipped",
                    None => "not run",
                };
                write!(f, " {word} |")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
