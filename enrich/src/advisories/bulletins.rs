//! Microsoft's old bulletin tables, CSV or XLSX: what gives KBs of before April 2017 their bulletin.
//!
//! One advisory a bulletin, under its id, with a row for each KB and product. Columns are found by their
//! titles. A row that cannot be used is reported and the others count. Reads a sheet cell by cell, so
//! that a sheet of a million empty rows costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Seek};

use calamine::{DataRef, Reader as _, Xlsx};
use jiff::civil::date;
use patchline_schemas::{Advisory, KbFix, Timestamp};

use super::cvrf::{RESTARTS, word};
use super::{Collect, Unreadable, bulletin_url, cves, is_bulletin, is_kb, moment, superseded};

/// `Source` of these advisories.
pub const SOURCE: &str = "msrc-bulletins";

const FORMAT: &str = "bulletin table";

/// Rows of all tables; Microsoft's own had some twenty thousand.
const ROWS_MAX: usize = 500_000;

/// Characters of one cell; Excel itself takes no more.
const CELL_MAX: usize = 32_767;

/// Imports a table in CSV.
///
/// # Errors
/// It has no column of bulletins, or is no CSV.
pub fn csv(document: impl Read, out: &mut dyn Collect) -> Result<(), Unreadable> {
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(::csv::Trim::All)
        .from_reader(document);
    let mut table = Table::default();
    let mut record = ::csv::ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {
                let cells = record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned());
                table.row(cells.collect(), out)?;
            }
            Ok(false) => return table.finish(out),
            Err(error) => {
                let problem = error.to_string();
                return Err(match error.into_kind() {
                    ::csv::ErrorKind::Io(error) => error.into(),
                    _ => Unreadable::Unsound { format: FORMAT, problem },
                });
            }
        }
    }
}

/// Imports the first sheet of a workbook. The caller has made sure of its size.
///
/// # Errors
/// It is no workbook, or its first sheet has no column of bulletins.
pub fn workbook(document: impl Read + Seek, out: &mut dyn Collect) -> Result<(), Unreadable> {
    let unsound = |error: calamine::XlsxError| Unreadable::Unsound {
        format: FORMAT,
        problem: error.to_string(),
    };
    let mut workbook = Xlsx::new(BufReader::new(document)).map_err(unsound)?;
    let sheet = workbook.sheet_names().first().cloned().unwrap_or_default();
    let mut cells = workbook.worksheet_cells_reader(&sheet).map_err(unsound)?;
    let mut table = Table::default();
    let (mut current, mut row): (u32, Vec<String>) = (0, Vec::new());
    while let Some(cell) = cells.next_cell().map_err(unsound)? {
        let (at, column) = cell.get_position();
        if at != current {
            table.row(std::mem::take(&mut row), out)?;
            current = at;
        }
        let column = column as usize;
        if column < COLUMNS_MAX {
            if row.len() <= column {
                row.resize(column + 1, String::new());
            }
            if let Some(place) = row.get_mut(column) {
                *place = text(cell.get_value());
            }
        }
    }
    table.row(row, out)?;
    table.finish(out)
}

/// Columns that are looked at; Microsoft's tables have fourteen.
const COLUMNS_MAX: usize = 64;

/// A cell as the CSV would have it.
fn text(cell: &DataRef<'_>) -> String {
    match cell {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::String(text) => text.trim().to_owned(),
        DataRef::SharedString(text) => text.trim().to_owned(),
        DataRef::DateTime(at) => at.as_f64().to_string(),
        DataRef::DateTimeIso(text) => text.clone(),
        _ => String::new(),
    }
}

/// A column by what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Column {
    Posted,
    Bulletin,
    BulletinKb,
    BulletinSeverity,
    Title,
    Product,
    ComponentKb,
    Component,
    Severity,
    Supersedes,
    Reboot,
    Cves,
}

/// A table while it is read.
#[derive(Debug, Default)]
struct Table {
    columns: BTreeMap<Column, usize>,
    bulletins: BTreeMap<String, Bulletin>,
    line: usize,
    rows: usize,
}

#[derive(Debug, Default)]
struct Bulletin {
    title: String,
    severity: String,
    posted: Option<Timestamp>,
    cves: BTreeSet<String>,
    /// By KB and product.
    fixes: BTreeMap<(String, String), KbFix<'static>>,
}

impl Table {
    fn row(&mut self, mut cells: Vec<String>, out: &mut dyn Collect) -> Result<(), Unreadable> {
        self.line += 1;
        for cell in &mut cells {
            cell.truncate(cell.floor_char_boundary(CELL_MAX));
        }
        if cells.iter().all(String::is_empty) {
            return Ok(());
        }
        if self.columns.is_empty() {
            self.columns = header(&cells);
            // A few lines of explanation may stand above the titles.
            if self.columns.is_empty() && self.line > 20 {
                let problem = "no line names a column `Bulletin Id` and one of KBs".to_owned();
                return Err(Unreadable::Unsound { format: FORMAT, problem });
            }
            return Ok(());
        }
        let cell = |column: Column| {
            self.columns.get(&column).and_then(|at| cells.get(*at)).map_or("", |cell| cell.trim())
        };
        let line = format!("line {}", self.line);
        let id = cell(Column::Bulletin).to_uppercase();
        if !is_bulletin(&id) {
            out.bad(&line, &format!("`{id}` is no bulletin id such as MS17-010"));
            return Ok(());
        }
        let kbs = [cell(Column::ComponentKb), cell(Column::BulletinKb)];
        let kbs = kbs.map(|kb| kb.trim_start_matches(['K', 'B', 'k', 'b']).to_owned());
        let Some(kb) = kbs.into_iter().find(|kb| is_kb(kb)) else {
            out.bad(&line, &format!("{id} without a KB number"));
            return Ok(());
        };
        self.rows += 1;
        if self.rows > ROWS_MAX {
            return Err(Unreadable::TooLarge(format!("over {ROWS_MAX} rows")));
        }
        let product = match (cell(Column::Component), cell(Column::Product)) {
            ("", product) => product.to_owned(),
            (component, "") => component.to_owned(),
            // As Microsoft's later documents name them.
            (component, product) => format!("{component} on {product}"),
        };
        let ids = cell(Column::Cves).split(|c: char| ",;".contains(c) || c.is_whitespace());
        let cve_numbers = cves(ids);
        let (mut replaced, _) = superseded(cell(Column::Supersedes));
        replaced.retain(|one| *one != kb);
        let severity = match cell(Column::Severity) {
            "" => cell(Column::BulletinSeverity),
            severity => severity,
        };
        let restart = word(&RESTARTS, cell(Column::Reboot)).unwrap_or_default();
        let posted = posted(cell(Column::Posted));
        let severity = severity.to_owned();
        let bulletin_severity = cell(Column::BulletinSeverity).to_owned();
        let title = cell(Column::Title).to_owned();

        let bulletin = self.bulletins.entry(id).or_default();
        if bulletin.title.is_empty() {
            bulletin.title = title;
        }
        if bulletin.severity.is_empty() {
            bulletin.severity = bulletin_severity;
        }
        bulletin.posted = bulletin.posted.into_iter().chain(posted).min();
        bulletin.cves.extend(cve_numbers.iter().cloned());
        let fix = bulletin.fixes.entry((kb.clone(), product.clone())).or_insert_with(|| KbFix {
            kbid: kb.into(),
            product: product.into(),
            ..KbFix::default()
        });
        let merged = |had: &mut Vec<String>, new: Vec<String>| {
            had.extend(new);
            had.sort_unstable();
            had.dedup();
        };
        merged(&mut fix.cve_numbers, cve_numbers);
        merged(&mut fix.supersedes, replaced);
        if fix.severity.is_empty() {
            fix.severity = severity.into();
        }
        if fix.restart_required.is_empty() {
            fix.restart_required = restart.into();
        }
        Ok(())
    }

    fn finish(self, out: &mut dyn Collect) -> Result<(), Unreadable> {
        if self.columns.is_empty() {
            let problem = "no line names a column `Bulletin Id` and one of KBs".to_owned();
            return Err(Unreadable::Unsound { format: FORMAT, problem });
        }
        for (id, bulletin) in self.bulletins {
            out.advisory(Advisory {
                id: id.clone().into(),
                source: SOURCE.into(),
                kind: "security".into(),
                title: bulletin.title.into(),
                severity: bulletin.severity.into(),
                bulletin_url: bulletin_url(&id).into(),
                bulletin_id: id.into(),
                cve_numbers: bulletin.cves.into_iter().collect(),
                published: bulletin.posted,
                kb_fixes: bulletin.fixes.into_values().collect(),
                ..Advisory::default()
            });
        }
        Ok(())
    }
}

/// The columns that a line of titles names; none if it is no such line.
fn header(cells: &[String]) -> BTreeMap<Column, usize> {
    let mut columns = BTreeMap::new();
    for (at, cell) in cells.iter().enumerate().take(COLUMNS_MAX) {
        let title: String =
            cell.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let column = match title.as_str() {
            "dateposted" | "dateposted1" | "posted" | "date" => Column::Posted,
            "bulletinid" | "bulletin" => Column::Bulletin,
            "bulletinkb" => Column::BulletinKb,
            "componentkb" | "kb" | "kbid" | "kbnumber" => Column::ComponentKb,
            "title" | "bulletintitle" => Column::Title,
            "affectedproduct" | "product" => Column::Product,
            "affectedcomponent" | "component" => Column::Component,
            // The bulletin's own stands first, the component's second.
            "severity" if columns.contains_key(&Column::Severity) => {
                if let Some(first) = columns.insert(Column::Severity, at) {
                    columns.insert(Column::BulletinSeverity, first);
                }
                continue;
            }
            "severity" => Column::Severity,
            "supersedes" | "supersedence" | "supercedence" => Column::Supersedes,
            "reboot" | "restart" | "restartrequired" => Column::Reboot,
            "cves" | "cve" => Column::Cves,
            _ => continue,
        };
        columns.entry(column).or_insert(at);
    }
    let has = |column| columns.contains_key(&column);
    let sound = has(Column::Bulletin) && (has(Column::BulletinKb) || has(Column::ComponentKb));
    if sound { columns } else { BTreeMap::new() }
}

/// A date as the tables have it: `3/14/2017`, a spreadsheet's day number, or one of [`moment`]'s.
fn posted(text: &str) -> Option<Timestamp> {
    if let Ok(days) = text.parse::<f64>() {
        // Day 1 is the first of January 1900, and 1900 counts as a leap year.
        let since = days.floor() - 25_569.0;
        return (0.0..100_000.0).contains(&since).then(|| {
            #[allow(clippy::cast_possible_truncation, reason = "a whole number within the range")]
            Timestamp(since as i64 * Timestamp::DAY_MS)
        });
    }
    let mut parts = text.split('/').map(str::parse::<i16>);
    if let (Some(Ok(month)), Some(Ok(day)), Some(Ok(year))) =
        (parts.next(), parts.next(), parts.next())
        && let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day))
    {
        let valid = jiff::civil::Date::new(year, month, day).ok()?;
        let days = valid.since(date(1970, 1, 1)).ok()?.get_days();
        return Some(Timestamp(i64::from(days) * Timestamp::DAY_MS));
    }
    moment(text)
}
