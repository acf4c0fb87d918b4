//! twolane: the edge gateway in front of Dify plugin daemons.
//!
//! **Short calls never wait behind long ones.** Read `ARCHITECTURE.md` for the map; the modules
//! stand below in layers, each answering one question, and arrows only point up this list.

pub mod model;

pub mod config;

pub mod admin;
pub mod admit;
pub mod cli;
pub mod demo;
pub mod dify;
pub mod learn;
pub mod nodes;
pub mod observe;
pub mod proxy;
pub mod route;
pub mod select;
pub mod server;
pub mod share;
pub mod upstream;
