//! staygraph: the query side of an event-sourced vacation-rental company.
//!
//! Rooms in reading order: what its numbers count ([`ids`]), what a domain is ([`model`]), what happened to it ([`event`], [`cdc`], [`position`]), what that comes to
//! ([`graph`], [`projection`]), how fresh that is ([`freshness`]) and what can be asked of it ([`query`]). Those are pure:
//! no clock, no files, no network, no threads. Above them lie the edges: where events come from ([`source`], [`encoding`],
//! [`intake`]), what of them is sealed ([`sealing`], [`keys`]), the loop ([`pipeline`]), what is published ([`serving`]), and what people and programs hold on to ([`api`],
//! [`http`], [`cli`], [`demo`]). [`app`] alone wires them together. ARCHITECTURE.md says which room may know which.
#![deny(unsafe_code)]

pub mod ids;
pub mod limits;
pub mod model;
pub mod rights;

pub mod cdc;
pub mod event;
pub mod position;

pub mod graph;
pub mod projection;

pub mod checkpoint;

pub mod freshness;
pub mod query;

pub mod clock;
pub mod threads;

pub mod auth;
pub mod encoding;
pub mod intake;
pub mod keys;
pub mod pipeline;
pub mod sealing;
pub mod serving;
pub mod source;
pub mod store;

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod http;
pub mod telemetry;
