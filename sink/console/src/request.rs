//! What a browser asked for, checked: a query with its parameters, a time range, an order, a page.
//!
//! Whatever is not known, doubled or out of bounds is refused with what was wrong and what would be right. What
//! passes is safe to put into a query: texts go as ClickHouse's parameters, names of columns come from the query's
//! own list.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::config::ConsoleConfig;
use crate::query::{Query, Sort};

/// Longest text of a parameter. Names of updates are shorter.
const TEXT_BYTES_MAX: usize = 500;

/// Longest time range: the oldest thing that is kept by default is two years old.
const RANGE_DAYS_MAX: i64 = 800;

/// Points of a chart over the range.
const STEPS: i64 = 48;

const DAY_MS: i64 = 24 * 3_600_000;

/// The relative ranges, as the original service offers them.
const RANGES: [(&str, i64); 3] = [("6h", 6 * 3_600_000), ("1d", DAY_MS), ("7d", 7 * DAY_MS)];

/// Deepest row that can be paged to: further, a search finds it sooner.
const OFFSET_MAX: u64 = 1_000_000;

/// A request cannot be answered, and why: for the person at the browser.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(pub String);

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One page, as JSON.
    Json,
    /// Every row, as CSV.
    Csv,
}

/// A checked request.
#[derive(Debug)]
pub struct Request<'q> {
    /// What is asked.
    pub query: &'q Query,
    /// The browser's parameters, all of the query's.
    pub texts: BTreeMap<&'q str, String>,
    /// The time range.
    pub range: Range,
    /// The order, where the query has no order of its own.
    pub sort: Option<Sort>,
    /// From 1.
    pub page: u64,
    /// Rows of a page.
    pub size: u32,
    /// JSON or CSV.
    pub format: Format,
}

/// A time range, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Its beginning.
    pub from: i64,
    /// Its end.
    pub to: i64,
    /// Until when a computer's own time counts: the end, or a day after it where the end is now. A computer's clock
    /// may be ahead by that much; what is further is refused on the way in.
    pub until: i64,
}

impl Range {
    /// Width of a chart's step.
    #[must_use]
    pub fn step(self) -> i64 {
        ((self.to - self.from) / STEPS).max(1)
    }
}

impl<'q> Request<'q> {
    /// Reads the part of a URL behind the `?`.
    ///
    /// # Errors
    /// What cannot be answered, with the reason.
    pub fn parse(
        query: &'q Query,
        text: &str,
        now: Timestamp,
        config: &ConsoleConfig,
    ) -> Result<Self, BadRequest> {
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if value.len() > TEXT_BYTES_MAX {
                return bad(format!("{name} is longer than {TEXT_BYTES_MAX} bytes"));
            }
            if value.contains('\0') {
                return bad(format!("{name} has a null character in it"));
            }
            if given.insert(name.to_string(), value.into_owned()).is_some() {
                return bad(format!("{name} is given twice"));
            }
        }
        let mut take = |name: &str| given.remove(name).filter(|value| !value.is_empty());

        let format = match take("format").as_deref() {
            None | Some("json") => Format::Json,
            Some("csv") => Format::Csv,
            Some(other) => return bad(format!("format={other}: there are json and csv")),
        };
        let range = range(take("range"), take("from"), take("to"), now)?;
        let page = number("page", take("page"), 1, OFFSET_MAX)?.unwrap_or(1);
        let size_max = u64::from(config.page_rows_max);
        let size = number("size", take("size"), 1, size_max)?.unwrap_or(size_max.min(50));
        if page.saturating_sub(1).saturating_mul(size) > OFFSET_MAX {
            return bad(format!("page={page} begins behind row {OFFSET_MAX}: narrow the search"));
        }
        let sort = sort(query, take("sort"), take("dir"))?;

        let mut texts = BTreeMap::new();
        for parameter in &query.parameters {
            let name = parameter.name;
            let value = take(name).unwrap_or_default();
            if value.is_empty() && parameter.required {
                return bad(format!("{name} is missing: {}", parameter.meaning));
            }
            let known = parameter.values.is_empty() || parameter.values.contains(&&*value);
            if !value.is_empty() && !known {
                return bad(format!("{name}={value}: there are {}", parameter.values.join(", ")));
            }
            texts.insert(name, value);
        }
        if let Some(name) = given.keys().next() {
            let known: Vec<&str> = query.parameters.iter().map(|one| one.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return bad(format!(
                "{} has no parameter {name}; its own are {known}, beside range, from, to, sort, dir, page, \
                 size and format",
                query.name
            ));
        }
        let size = u32::try_from(size).unwrap_or(config.page_rows_max);
        Ok(Self { query, texts, range, sort, page, size, format })
    }

    /// The text that ClickHouse runs, without limits: the order is the query's own, or one of its list made
    /// definite by its key.
    #[must_use]
    pub fn sql(&self) -> String {
        let Some(sort) = self.sort else { return self.query.sql.clone() };
        let mut order = format!("`{}`{}", sort.column, if sort.descending { " DESC" } else { "" });
        for column in self.query.key.iter().filter(|column| **column != sort.column) {
            order.push_str(&format!(", `{column}`"));
        }
        format!("SELECT * FROM\n(\n{}\n)\nORDER BY {order}", self.query.sql)
    }

    /// Rows before the page.
    #[must_use]
    pub fn offset(&self) -> u64 {
        (self.page - 1) * u64::from(self.size)
    }
}

fn bad<T>(what: String) -> Result<T, BadRequest> {
    Err(BadRequest(what))
}

fn number(
    name: &str,
    text: Option<String>,
    least: u64,
    most: u64,
) -> Result<Option<u64>, BadRequest> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => bad(format!("{name}={text}: a number from {least} to {most}")),
    }
}

fn sort(
    query: &Query,
    column: Option<String>,
    direction: Option<String>,
) -> Result<Option<Sort>, BadRequest> {
    let descending = match direction.as_deref() {
        None => None,
        Some("asc") => Some(false),
        Some("desc") => Some(true),
        Some(other) => return bad(format!("dir={other}: there are asc and desc")),
    };
    let Some(first) = query.sorts.first() else {
        return match column.or(direction) {
            Some(_) => bad(format!("{} has an order of its own", query.name)),
            None => Ok(None),
        };
    };
    let mut sort = match column {
        None => *first,
        Some(wanted) => match query.sorts.iter().find(|sort| sort.column == wanted) {
            Some(sort) => Sort { descending: false, ..*sort },
            None => {
                let known: Vec<&str> = query.sorts.iter().map(|sort| sort.column).collect();
                return bad(format!("sort={wanted}: there are {}", known.join(", ")));
            }
        },
    };
    sort.descending = descending.unwrap_or(sort.descending);
    Ok(Some(sort))
}

fn range(
    relative: Option<String>,
    from: Option<String>,
    to: Option<String>,
    now: Timestamp,
) -> Result<Range, BadRequest> {
    let now = now.as_millisecond();
    let (from, to) = match (relative, from, to) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            return bad("give either range or from and to".to_owned());
        }
        (relative, None, None) => {
            let name = relative.unwrap_or_else(|| "1d".to_owned());
            let Some((_, width)) = RANGES.iter().find(|(known, _)| *known == name) else {
                return bad(format!("range={name}: there are 6h, 1d and 7d, or from and to"));
            };
            return Ok(Range { from: now - width, to: now, until: now + DAY_MS });
        }
        (None, Some(from), Some(to)) => (time("from", &from)?, time("to", &to)?),
        (None, ..) => return bad("from and to go together".to_owned()),
    };
    if from >= to {
        return bad("from must be before to".to_owned());
    }
    if to - from > SignedDuration::from_hours(24 * RANGE_DAYS_MAX).as_secs() * 1000 {
        return bad(format!("the time range is longer than {RANGE_DAYS_MAX} days"));
    }
    if to > now + DAY_MS {
        return bad("to is in the future".to_owned());
    }
    Ok(Range { from, to, until: to })
}

fn time(name: &str, text: &str) -> Result<i64, BadRequest> {
    match text.parse::<Timestamp>() {
        Ok(time) => Ok(time.as_millisecond()),
        Err(_) => bad(format!("{name}={text}: a time as 2026-01-15T08:00:00Z")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query;

    fn ask(name: &str, text: &str) -> Result<(String, Range, u64), String> {
        let queries = query::all().unwrap();
        let now: Timestamp = "2026-01-15T08:00:00Z".parse().unwrap();
        let config = ConsoleConfig::default();
        let request = Request::parse(&queries[name], text, now, &config);
        let request = request.map_err(|BadRequest(what)| what)?;
        let sql = request.sql();
        let order = sql.rsplit_once("ORDER BY ").map(|(_, order)| order.to_owned());
        Ok((order.unwrap_or_default(), request.range, request.offset()))
    }

    #[test]
    fn what_is_not_known_or_out_of_bounds_is_refused_with_what_would_be_right() {
        let refused = |text| ask("machines", text).unwrap_err();
        assert_eq!(
            refused("colour=red").split(';').next(),
            Some("machines has no parameter colour")
        );
        assert_eq!(refused("sort=Password").split(':').next(), Some("sort=Password"));
        assert!(refused("sort=Computer`%20DESC").contains("there are Computer, OSType"));
        assert_eq!(refused("dir=up"), "dir=up: there are asc and desc");
        assert_eq!(refused("os=BeOS"), "os=BeOS: there are Linux, Windows");
        assert_eq!(refused("page=0"), "page=0: a number from 1 to 1000000");
        assert_eq!(refused("size=9999"), "size=9999: a number from 1 to 500");
        assert_eq!(
            refused("page=1000000"),
            "page=1000000 begins behind row 1000000: narrow the search"
        );
        assert_eq!(refused("page=2&page=3"), "page is given twice");
        assert_eq!(refused("format=xml"), "format=xml: there are json and csv");
        assert_eq!(refused("search=%00"), "search has a null character in it");
        assert!(refused(&format!("search={}", "x".repeat(501))).starts_with("search is longer"));
        let refused = |text| ask("machine", text).unwrap_err();
        assert_eq!(refused(""), "computer is missing: SourceComputerId");
        assert_eq!(refused("computer=a&sort=State"), "machine has an order of its own");
    }

    #[test]
    fn a_time_range_is_one_of_the_three_or_has_two_ends() {
        let range = |text| ask("states", text).map(|(_, range, _)| range);
        let now = 1_768_464_000_000;
        assert_eq!(range("").unwrap(), range("range=1d").unwrap());
        let six = range("range=6h").unwrap();
        assert_eq!((six.from, six.to, six.until), (now - 21_600_000, now, now + DAY_MS));
        let custom = range("from=2026-01-01T00:00:00Z&to=2026-01-03T02:00:00%2B02:00").unwrap();
        assert_eq!((custom.to - custom.from, custom.until), (2 * DAY_MS, custom.to));
        for (text, what) in [
            ("range=2w", "range=2w: there are 6h, 1d and 7d, or from and to"),
            ("range=1d&from=2026-01-01T00:00:00Z", "give either range or from and to"),
            ("from=2026-01-01T00:00:00Z", "from and to go together"),
            ("from=yesterday&to=today", "from=yesterday: a time as 2026-01-15T08:00:00Z"),
            ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from must be before to"),
            (
                "from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
                "the time range is longer than 800 days",
            ),
            ("from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z", "to is in the future"),
        ] {
            assert_eq!(range(text).unwrap_err(), what);
        }
    }

    #[test]
    fn every_order_is_definite() {
        let order = |name, text| ask(name, text).unwrap().0;
        assert_eq!(order("machines", ""), "`Computer`, `SourceComputerId`");
        assert_eq!(order("machines", "sort=State&dir=desc"), "`State` DESC, `SourceComputerId`");
        assert_eq!(order("deployments", "sort=Name"), "`Name`");
        assert!(order("missing", "").starts_with("`Computers` DESC, `OSType`, `Name`"));
    }

    #[test]
    fn pages_begin_where_the_last_one_ended() {
        assert_eq!(ask("machines", "page=3&size=20").unwrap().2, 40);
        assert_eq!(ask("machines", "").unwrap().2, 0);
    }
}
