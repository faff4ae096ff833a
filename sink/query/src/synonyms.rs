//! Values that the documents' queries name and that no record holds.
//!
//! The samples of Log Analytics were written from memory: they ask for `InstallationStatus == "failed"` where the
//! status is `Failed`, `FailedToStart` or `InstallFailed`, and for a `WindowsUpdateSetting` of `Manual` that is
//! none of its documented values. Typed as they stand they would answer with nothing and look as if all were
//! well. So such a value means the ones that its description promises, and the user is told.

/// A column, a value that it never has, and the values that are meant.
pub(crate) struct Synonym {
    pub(crate) column: &'static str,
    pub(crate) written: &'static str,
    pub(crate) meant: &'static [&'static str],
}

/// All of them. What `meant` leaves out of them is a value that no record holds with this spelling.
pub(crate) const SYNONYMS: &[Synonym] = &[
    Synonym { column: "EventLevelName", written: "error", meant: &["error", "Error"] },
    Synonym { column: "EventLevelName", written: "warning", meant: &["warning", "Warning"] },
    Synonym {
        column: "InstallationStatus",
        written: "failed",
        meant: &["Failed", "FailedToStart", "InstallFailed"],
    },
    Synonym { column: "InstallationStatus", written: "Succeed", meant: &["Succeeded"] },
    Synonym {
        column: "WindowsUpdateSetting",
        written: "Manual",
        meant: &["Manual", "Disabled", "Notify before installation"],
    },
];

/// What a value means in a column, as it is spelt in the documents: `Failed` is a status, `failed` is none. Joins
/// put a digit behind the name of the second column.
pub(crate) fn meant(column: &str, written: &str) -> Option<&'static Synonym> {
    let column = column.trim_end_matches(|c: char| c.is_ascii_digit());
    SYNONYMS.iter().find(|synonym| synonym.column == column && synonym.written == written)
}

impl Synonym {
    /// What the user is told.
    pub(crate) fn note(&self) -> String {
        let Self { column, written, meant } = self;
        let others: Vec<String> =
            meant.iter().filter(|v| *v != written).map(|value| format!("`{value}`")).collect();
        let others = others.join(", ");
        match meant.contains(written) {
            true => format!("{column} `{written}` is taken for {others} as well"),
            false => format!("no record has {column} `{written}`: it is taken for {others}"),
        }
    }
}
