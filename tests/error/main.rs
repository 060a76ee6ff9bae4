//! Errors as a program and a person read them: the mirror of `src/error`.

#[path = "../support/mod.rs"]
mod support;

mod advice_loop;
mod code_exchange;
mod extras;
mod hints;
mod without_grant;
