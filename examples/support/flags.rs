//! Reads the flags of the examples: `--flag value`, `--flag=value`, or `--flag value value`.

use std::ffi::OsString;

/// Returns the program's arguments; an error tells in one line how to correct them.
pub fn arguments() -> Result<Vec<String>, String> {
    let arguments: Result<_, _> = std::env::args_os().skip(1).map(OsString::into_string).collect();
    arguments.map_err(|_| "give the arguments in UTF-8; see --help".to_owned())
}

/// Groups each flag with the values after it, or with the value after its `=`.
pub fn group(arguments: impl Iterator<Item = String>) -> Result<Vec<(String, Vec<String>)>, String> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for argument in arguments {
        match (argument.starts_with("--"), argument.split_once('='), groups.last_mut()) {
            (true, Some((flag, value)), _) => groups.push((flag.to_owned(), vec![value.to_owned()])),
            (true, None, _) => groups.push((argument, Vec::new())),
            (false, _, Some((_, values))) => values.push(argument),
            // The message does not quote the argument, which may be a misplaced secret.
            (false, _, None) => return Err("the first argument is not a flag; see --help".to_owned()),
        }
    }
    Ok(groups)
}

/// Stores the value of a flag that takes one value and can be given once.
pub fn set(slot: &mut Option<String>, flag: &str, values: Vec<String>) -> Result<(), String> {
    let mut values = values.into_iter().filter(|value| !value.is_empty());
    let value = values.next().ok_or(format!("{flag} needs a value after it; see --help"))?;
    if values.next().is_some() || slot.replace(value).is_some() {
        return Err(format!("give {flag} one value, once; see --help"));
    }
    Ok(())
}
