//! Dynamic registration, its management, and client ID metadata documents.

mod documents;
mod echoes;
mod manage;
mod metadata;
mod register;
mod stored;
mod support;
mod vectors;
