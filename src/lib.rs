//! twolane: the edge gateway in front of Dify plugin daemons.
//!
//! **Short calls never wait behind long ones.** Read `ARCHITECTURE.md` for the map; the modules
//! stand below in layers, each answering one question, and arrows only point up this list.

pub mod model;

pub mod config;

pub mod nodes;
pub mod admit;
pub mod route;
pub mod select;
pub mod observe;
pub mod share;
