//! Errors point at the column, and say what to do.

use patchline_query::Language::{Kql, Search};

use crate::sql_of;

#[test]
fn an_error_shows_the_line_and_points_at_the_column() {
    let error = sql_of("Update\n| where UpdateState == \"Needed\"\n| project Compter", Kql);
    assert_eq!(
        error.unwrap_err().to_string(),
        "line 3, column 11: there is no column `Compter` here; did you mean `Computer`?\n    \
             | project Compter\n              ^^^^^^^"
    );
    let error = sql_of("Type=Update | meassure count() by Computer", Search).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 15: `meassure` is no command known here; known are measure, select, distinct, \
         top, limit, dedup, sort, extend, where and display\n    \
             Type=Update | meassure count() by Computer\n                  ^^^^^^^^"
    );
}

#[test]
fn each_mistake_is_named_at_its_place() {
    for (text, language, line, column, message) in [
        ("Updates | count", Kql, 1, 1, "there is no table `Updates`; there are Custom, Event"),
        ("update | count", Kql, 1, 1, "there is no table `update`; did you mean `Update`?"),
        ("Update | evaluate x()", Kql, 1, 10, "`evaluate` is no operator known here"),
        ("Update | parse Title with * \"KB\" kb", Kql, 1, 10, "`parse` is no operator known here"),
        (
            "Update | where Computer == toscalar(Heartbeat | summarize max(Computer))",
            Kql,
            1,
            28,
            "`toscalar` is not supported here: compare with `in (rows)`, or join",
        ),
        ("let x = materialize(Update | take 1);\nx", Kql, 1, 9, "`materialize` is not supported"),
        ("// KQL\ndatatable (a:int) [1, 2]", Kql, 2, 1, "`datatable` is not supported"),
        ("Update | union (externaldata(a:int)['x'])", Kql, 1, 17, "`externaldata` is not"),
        ("workspace(\"a\").Update | count", Kql, 1, 1, "`workspace` is not supported"),
        ("range x from 1 to 3 step 1", Kql, 1, 1, "`range` is not supported here: write `print"),
        (
            "find in (Update) where Computer == 'x'",
            Kql,
            1,
            1,
            "`find` is not supported here: use `search",
        ),
        ("set notruncation; Update", Kql, 1, 1, "`set` is not supported"),
        ("let x = 1; declare query_parameters(y:int); Update", Kql, 1, 12, "`declare` is not"),
        ("Update | where Title == 'toscalar(' ==", Kql, 1, 37, "expected "),
        (" ", Kql, 1, 1, "the query is empty"),
        ("", Search, 1, 1, "the query is empty"),
        ("Update | where", Kql, 1, 15, "expected a value"),
        ("Update | where Optional ==", Kql, 1, 27, "expected a value"),
        ("Update | project Computer Title", Kql, 1, 27, "expected "),
        ("Update | where computer == 'x'", Kql, 1, 16, "did you mean `Computer`?"),
        ("Update | where Computer", Kql, 1, 16, "a condition is needed here, and this is a string"),
        (
            "Update | where TimeGenerated > 5",
            Kql,
            1,
            16,
            "a datetime cannot be compared with a long",
        ),
        ("Update | where TimeGenerated > 'soon'", Kql, 1, 16, "this text is no date"),
        ("Update | extend x = Computer + 1", Kql, 1, 21, "strcat() joins texts"),
        ("Update | extend x = lower(Computer)", Kql, 1, 21, "lower() is no function known here"),
        ("Update | extend x = strlen(1, 2)", Kql, 1, 21, "strlen() needs 1 arguments, and has 2"),
        ("Update | extend x = count()", Kql, 1, 21, "count() works on groups"),
        ("Update | summarize Computer by Title", Kql, 1, 20, "put it into an aggregate"),
        ("Update | join kind=outer (Event) on Computer", Kql, 1, 20, "`outer` is no kind of join"),
        ("Update | join (Event) on KBID", Kql, 1, 26, "there is no column `KBID` here"),
        ("Update | project a = 1, a = 2", Kql, 1, 10, "there are two columns `a` here"),
        ("print \"\\q\"", Kql, 1, 7, "`\\q` means nothing"),
        ("print datetime(2017-13-01)", Kql, 1, 7, "`2017-13-01` is no date"),
        ("print 99999999999999999999", Kql, 1, 7, "this number is too large"),
        (
            "Update | take Computer",
            Kql,
            1,
            15,
            "there is no column `Computer` here, where no table",
        ),
        ("Type=Update | select", Search, 1, 21, "expected a name"),
        ("Type=Nothing", Search, 1, 6, "there is no table `Nothing`"),
        ("Type=Update\nUpdateStat=Needed", Search, 2, 1, "did you mean `UpdateState`?"),
        ("Type=Update Type=Event", Search, 1, 1, "no record is of two types at once"),
        ("Type=Event EventID>[1..2]", Search, 1, 20, "`>` needs one value"),
        (
            "Type=Update | measure median(KBID)",
            Search,
            1,
            23,
            "`median` is no aggregate known here",
        ),
    ] {
        let error = match sql_of(text, language) {
            Ok(sql) => panic!("{text}: {sql}"),
            Err(error) => error,
        };
        assert!(error.message.contains(message), "{text}: {}", error.message);
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
    }
}

#[test]
fn what_could_exhaust_the_stack_or_the_memory_is_refused() {
    for (text, message) in [
        ("(".repeat(100_000), "nested more than"),
        (format!("print {}1{}", "(".repeat(40), ")".repeat(40)), "nested more than"),
        (format!("print {}1", "-".repeat(5_000)), "expected"),
        (format!("print 1{}", " + 1".repeat(5_000)), "more than 200 parts"),
        (format!("print x{}", ".a".repeat(5_000)), "more than 200 parts"),
        (format!("Update {}", "x".repeat(300_000)), "longer than"),
        (doubling(40), "longer than"),
    ] {
        let error = sql_of(&text, Kql).unwrap_err();
        assert!(error.message.contains(message), "{}", error.message);
    }
    let long = format!("Update | where Computer == 'x'{}", " or Computer == 'x'".repeat(5_000));
    sql_of(&long, Kql).unwrap();
}

/// Each `let` names the one before it twice.
fn doubling(depth: usize) -> String {
    let mut text = "let a0 = now();".to_owned();
    for i in 1..=depth {
        text.push_str(&format!("let a{i} = strcat(a{0}, a{0});", i - 1));
    }
    format!("{text} print a{depth}")
}
