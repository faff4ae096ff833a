//! What the title of an update tells, for reports that tell it nowhere else.

use patchline_schemas::Update;

/// The KB number in a Windows title, digits only: `4012212` of `... (KB4012212)`. Empty when the
/// title names none.
pub(crate) fn kb(title: &str) -> &str {
    let Some((_, tail)) = title.rsplit_once("(KB") else { return "" };
    match tail.split_once(')') {
        Some((digits, _)) if is_number(digits) => digits,
        _ => "",
    }
}

/// The KB number of a Windows update, digits only: its own, else its title's.
pub(crate) fn kb_of<'u>(update: &'u Update<'_>) -> &'u str {
    if update.kbid.is_empty() { kb(&update.title) } else { kb_digits(&update.kbid) }
}

/// The digits of a KB number, whether or not it was written with its prefix.
pub(crate) fn kb_digits(kbid: &str) -> &str {
    kbid.strip_prefix("KB").unwrap_or(kbid)
}

/// The package in a Linux title: `cairo-dock-data` of `cairo-dock-data:amd64 (3.4.1-0ubuntu1,
/// automatic)`.
pub(crate) fn package(title: &str) -> &str {
    title.split([':', ' ']).next().unwrap_or_default()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_windows_title_names_its_kb_in_parentheses() {
        let title =
            "2017-03 Security Monthly Quality Rollup for Windows Server 2012 R2 (KB4012216)";
        assert_eq!(kb(title), "4012216");
        assert_eq!(kb("Security Update (KB1) for (KB4012212) x64"), "4012212");
        for none in ["", "Update KB4012212", "Update (KB)", "Update (KB12x4)", "Update (KB4012212"]
        {
            assert_eq!(kb(none), "", "{none}");
        }
    }

    #[test]
    fn a_linux_title_begins_with_its_package() {
        assert_eq!(package("cairo-dock-data:amd64 (3.4.1-0ubuntu1, automatic)"), "cairo-dock-data");
        assert_eq!(package("bash (4.3)"), "bash");
        assert_eq!(package("bash"), "bash");
        assert_eq!(package(""), "");
    }
}
