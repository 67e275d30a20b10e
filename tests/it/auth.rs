//! Who may do what: credentials and what was tried elsewhere to forge them, the matrix of scopes, TLS.

mod attacks;
mod commands;
mod issuers;
mod matrix;
mod rows;
mod signing;
mod tls;
