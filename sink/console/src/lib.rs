//! `patchline-console`: a read-only web page over the tables.
//!
//! The browser never sends SQL. It names a query of `queries/` and gives its parameters, which ClickHouse takes as
//! such; what sorts and pages it is chosen here from what the query's file allows. Every query runs read-only and
//! within limits of time, memory and rows, and only so many at once. Nothing is kept between two requests.
//!
//! | module | |
//! |---|---|
//! | [`query`] | the files of `queries/`, read at start |
//! | [`request`] | what a browser asked, checked |
//! | [`store`] | ClickHouse: the limits, the answers, the errors as people read them |
//! | [`csv`] | rows as CSV that a spreadsheet may open |
//! | [`web`] | the routes and the headers |
//! | [`assets`] | the page itself, in the binary |

pub mod assets;
pub mod config;
pub mod csv;
pub mod metrics;
pub mod query;
pub mod request;
pub mod store;
pub mod web;
