//! What KQL means, asked of the engine: each line is an expression and its value.

use patchline_query::{Language, Options};
use serde_json::{Value, json};

use crate::engine::engine;

/// Without the difference between 4 and 4.0, which the engine does not print.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}

#[test]
fn expressions_have_the_values_that_kql_gives_them() {
    let cases: Vec<(&str, Value)> = vec![
        ("7 / 2", json!(3)),
        ("7 / 2.0", json!(3.5)),
        ("1 / 0", Value::Null),
        ("-5 % 3", json!(1)),
        ("2h / 30m", json!(4.0)),
        ("1d + 90m + 500ms", json!("1.01:30:00.5000000")),
        ("-90s", json!("-00:01:30")),
        ("datetime(2017-07-02) - datetime(2017-07-01T12:00:00Z)", json!("12:00:00")),
        ("datetime(2017-07-01) + 36h == datetime(2017-07-02 12:00)", json!(true)),
        ("bin(datetime(2017-07-01T10:44:59Z), 15m) == datetime(2017-07-01 10:30)", json!(true)),
        ("bin(datetime(2017-07-05), 7d) == datetime(2017-07-03)", json!(true)),
        (
            "bin_at(datetime(2017-07-01 10:44), 1h, datetime(2017-07-01 00:30)) == datetime(2017-07-01 10:30)",
            json!(true),
        ),
        ("bin(37, 10)", json!(30)),
        ("bin(3.7, 0.5)", json!(3.5)),
        (
            "datetime_add('Microsecond', 131433408000000000 / 10, make_datetime(1601, 1, 1)) == datetime(2017-07-01)",
            json!(true),
        ),
        ("datetime_diff('day', datetime(2017-07-03), datetime(2017-07-01 23:59))", json!(2)),
        ("startofweek(datetime(2017-07-05 10:00)) == datetime(2017-07-02)", json!(true)),
        ("dayofweek(datetime(2017-07-05))", json!("3.00:00:00")),
        ("endofmonth(datetime(2017-02-05)) > datetime(2017-02-28 23:59:59)", json!(true)),
        (
            "format_datetime(datetime(2017-07-05 10:03:04), 'yyyy-MM-dd HH:mm:ss')",
            json!("2017-07-05 10:03:04"),
        ),
        ("tostring(datetime(2017-07-05 10:03:04))", json!("2017-07-05T10:03:04.0000000Z")),
        ("\"Azure Update\" has \"azure\"", json!(true)),
        ("\"AzureUpdate\" has \"azure\"", json!(false)),
        ("\"a.exe.txt\" has \".exe.\"", json!(true)),
        ("\"security,updates\" has \"updates\"", json!(true)),
        ("\"security_updates\" has \"updates\"", json!(true)),
        ("\"AzureUpdate\" hasprefix \"azure\"", json!(true)),
        ("\"AzureUpdate\" hassuffix \"UPDATE\"", json!(true)),
        ("\"AzureUpdate\" contains \"eup\"", json!(true)),
        ("\"AzureUpdate\" contains_cs \"eup\"", json!(false)),
        ("\"Ärger\" =~ \"ärger\" and \"Ärger\" contains \"ÄR\"", json!(true)),
        ("\"a\" == \"A\"", json!(false)),
        ("\"a\" in~ (\"A\", \"b\")", json!(true)),
        ("\"a\" in (dynamic([\"a\", \"b\"]))", json!(true)),
        ("\"x.exe.doc\" matches regex @\"\\.exe\\.\\w{0,4}$\"", json!(true)),
        ("strlen(tostring(Computer)) has_any (\"1\", \"2\")", json!(false)),
        ("5 between (1 .. 5) and 0 !between (1 .. 5)", json!(true)),
        ("int(null) == 1", json!(false)),
        ("int(null) != 1", json!(true)),
        ("isnull(int(null)) and isnotnull(1) and isempty(\"\")", json!(true)),
        ("coalesce(int(null), 7)", json!(7)),
        ("iff(int(null) > 1, \"yes\", \"no\")", json!("no")),
        ("case(false, 1, true, 2.5, 3)", json!(2.5)),
        ("toint(\"12.9\")", json!(12)),
        ("toint(\"x\")", Value::Null),
        ("tolong(dynamic({\"a\": [5, 7]}).a[-1])", json!(7)),
        ("tostring(dynamic({\"a\": \"q\\\"q\"}).a)", json!("q\"q")),
        ("tostring(dynamic({\"a\": null}).a)", json!("")),
        ("dynamic({\"a\": {\"b\": true}}).a.b == true", json!(true)),
        ("array_length(dynamic([1, 2, 3]))", json!(3)),
        ("split(\"a.b.c\", \".\")[-1]", json!("c")),
        ("split(\"a;b\", \";\", 0)[0]", json!("a")),
        ("substring(\"Ärger\", 1, 2)", json!("rg")),
        ("indexof(\"abc\", \"c\")", json!(2)),
        ("replace_string(\"a.b\", \".\", \"-\")", json!("a-b")),
        ("extract(@\"KB(\\d+)\", 1, \"see KB4012212\")", json!("4012212")),
        ("trim(@\"\\s\", \"  x y \")", json!("x y")),
        (
            "tostring(pack(\"a\", 1, \"b\", \"x\\\"\", \"c\", true))",
            json!("{\"a\":1,\"b\":\"x\\\"\",\"c\":true}"),
        ),
        ("tostring(parse_xml(\"<A b='1'><C>x &amp; y</C></A>\").A.C)", json!("x & y")),
        ("parse_xml(\"<A b='1'><C>x</C></A>\").A[\"@b\"]", json!("1")),
        ("tostring(parse_xml(\"<A><B/><Bc>no</Bc></A>\").A.B)", json!("")),
        ("round(2.345, 2)", json!(2.35)),
        ("max_of(1, 2.5)", json!(2.5)),
        ("strcat(\"a\", 1, true)", json!("a1true")),
    ];
    for (text, expected) in cases {
        let found = engine().kql(&format!("Heartbeat | take 1 | project value = {text}"));
        assert_eq!(plain(&json!(found)), plain(&json!([[expected]])), "{text}");
    }
}

#[test]
fn steps_of_a_pipeline_do_what_kql_does() {
    let engine = engine();
    let three = "print n = dynamic([1, 2, 3]) | mv-expand n | project n = toint(n)";
    let cases: Vec<(String, Value)> = vec![
        (format!("{three} | sort by n | project x = n * 10 | take 2"), json!([[30], [20]])),
        (format!("{three} | top 1 by n asc | extend m = n + 1"), json!([[1, 2]])),
        (format!("{three} | where n > 5 | summarize count(), max(n)"), json!([[0, null]])),
        (format!("{three} | where n > 5 | summarize count() by k = 1"), json!([])),
        (format!("{three} | count"), json!([[3]])),
        (
            format!("let T = {three}; T | join kind=leftouter (T | where n > 2 | extend s = \"x\") on n | sort by n asc"),
            json!([[1, null, ""], [2, null, ""], [3, 3, "x"]]),
        ),
        (format!("let T = {three}; T | join kind=leftanti (T | where n > 1) on n"), json!([[1]])),
        (
            format!("let T = {three}; T | extend k = 1 | join (T | extend k = 1) on k | summarize count()"),
            json!([[3]]),
        ),
        (
            format!("{three} | union (print s = \"x\", n = 0.5) | sort by n asc | project n, s"),
            json!([[0.5, "x"], [1.0, ""], [2.0, ""], [3.0, ""]]),
        ),
        (format!("{three} | summarize arg_max(n, n), arg_min(n, n)"), json!([[3, 3, 1, 1]])),
        (
            "print t = datetime(2026-01-15 00:20), v = 4.0 | union (print t = datetime(2026-01-15 01:50), v = 8.0) \
             | make-series s = sum(v) default=-1 on t from datetime(2026-01-15) to datetime(2026-01-15 03:00) step 1h \
             | project s"
                .to_owned(),
            json!([[[4.0, 8.0, -1.0]]]),
        ),
        (
            "print y = dynamic([1.0, 3.0, 5.0, 7.0]) | extend (r, slope, v, rv, b) = series_fit_line(y) \
             | project r, slope, b, v"
                .to_owned(),
            json!([[1.0, 2.0, 1.0, 5.0]]),
        ),
        (
            "print y = dynamic([5.0, 5.0, 5.0, 5.0, 0.0, 10.0, 20.0, 30.0]) \
             | extend (r, k, v, rv, fit) = series_fit_2lines(y) | project round(r, 3), k, round(fit[7], 3)"
                .to_owned(),
            json!([[1.0, 3, 30.0]]),
        ),
        ("print y = dynamic([1.0]) | project r = series_fit_2lines(y)".to_owned(), json!([[0.0]])),
    ];
    for (text, expected) in cases {
        assert_eq!(plain(&json!(engine.kql(&text))), plain(&expected), "{text}");
    }
}

#[test]
fn the_golden_texts_run() {
    let all = [
        (Language::Kql, include_str!("../golden/kql.txt")),
        (Language::Search, include_str!("../golden/search.txt")),
    ];
    for (language, texts) in all {
        for text in texts.split("\n\n") {
            engine()
                .ask(text, language, &Options::default())
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

#[test]
fn what_is_asked_cannot_change_anything() {
    for sql in [
        "DROP TABLE update_rows",
        "INSERT INTO computer_scans (SourceComputerId) VALUES ('x')",
        "SET readonly = 0",
    ] {
        let error = engine().sql(sql, &[]).unwrap_err();
        assert!(error.contains("readonly") || error.contains("164"), "{error}");
    }
}

#[test]
fn a_parameter_stands_before_a_let() {
    let parameters = vec![("Name".to_owned(), "pc-3.contoso.com".to_owned())];
    let options = Options { parameters, ..Options::default() };
    let text = "let Name = \"nobody\"; Heartbeat | where Computer == Name | distinct Computer";
    let rows = engine().ask(text, Language::Kql, &options).unwrap();
    assert_eq!(json!(rows), json!([{"Computer": "pc-3.contoso.com"}]));
}
