//! The pages in a headless Chromium: clicked through, their numbers compared with SQL, and free of every
//! complaint of the browser. Pictures of them are left in the folder for temporary files.

use patchline_console::config::{ClickHouseConfig, ConsoleConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::browser::Browser;
use crate::world::{MARKUP, RUN, World, serve, world};

/// As the console counts it: newest scans of reporting computers in the last day.
const ASSESSED: &str = "\
    SELECT * FROM UpdateSummary WHERE TimeGenerated > now() - INTERVAL 1 DAY AND SourceComputerId IN \
    (SELECT SourceComputerId FROM known_computers WHERE LastSeen > now() - INTERVAL 8 HOUR) \
    ORDER BY TimeGenerated DESC LIMIT 1 BY SourceComputerId";

const MISSING: &str = "UpdateState = 'Needed' AND Approved AND NOT Optional AND TimeGenerated > now() - INTERVAL 1 DAY";

/// A number as the page writes it.
fn shown(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap()).collect();
    groups.join(",")
}

impl World {
    async fn number(&self, sql: &str) -> u64 {
        self.sql.query(sql).fetch_one().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    async fn text(&self, sql: &str) -> String {
        self.sql.query(sql).fetch_one().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// A browser, with its own profile, at the page of `hash`.
async fn at(name: &str, hash: &str) -> Browser {
    let browser = Browser::start(&world().scratch.join(format!("profile-{name}"))).await;
    browser.look_like(1280, 900, false).await;
    browser.open(&format!("{}/{hash}", world().url)).await;
    settled(&browser).await;
    browser
}

/// Waits until nothing on the page is being loaded.
async fn settled(browser: &Browser) {
    browser
        .until("document.querySelector('main h1') && !document.querySelector('[aria-busy]')")
        .await;
    let problem = browser.value("document.querySelector('.problem')?.innerText ?? null").await;
    assert_eq!(problem, Value::Null);
}

/// The text of the first element that `selector` finds.
async fn read(browser: &Browser, selector: &str) -> String {
    let found = browser
        .value(&format!("document.querySelector({})?.innerText ?? null", json!(selector)))
        .await;
    found.as_str().unwrap_or_else(|| panic!("no {selector}")).trim().to_owned()
}

/// The cells of the row of the table in `selector` whose first cell is `name`.
async fn cells(browser: &Browser, selector: &str, name: &str) -> Vec<String> {
    let found = browser
        .value(&format!(
            "[...document.querySelectorAll({} + ' tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText.trim())) \
             .find((row) => row[0] === {}) ?? null",
            json!(selector), json!(name)
        ))
        .await;
    serde_json::from_value(found).unwrap_or_else(|_| panic!("{selector}: no row {name}"))
}

/// How many rows a paged table says that it has.
async fn total(browser: &Browser) -> u64 {
    let place = read(browser, ".pager span").await;
    place.rsplit_once("of ").unwrap().1.replace(',', "").parse().unwrap()
}

#[tokio::test]
async fn every_page_shows_the_numbers_that_sql_gives() {
    let world = world();
    let browser = at("numbers", "").await;

    // The overview.
    assert_eq!(read(&browser, "h1").await, "Overview");
    let all = world.number("SELECT count() FROM known_computers").await;
    let assessed = world.number(&format!("SELECT count() FROM ({ASSESSED})")).await;
    let good = world
        .number(&format!(
            "SELECT countIf(CriticalUpdatesMissing + SecurityUpdatesMissing = 0) FROM ({ASSESSED})"
        ))
        .await;
    assert!(all > assessed && assessed > good && good > 0, "{all} {assessed} {good}");
    assert_eq!(read(&browser, "#tile-computers .value").await, shown(all));
    assert_eq!(read(&browser, "#tile-unknown .value").await, shown(all - assessed));
    let note = read(&browser, "#tile-compliance .quiet").await;
    assert!(note.starts_with(&format!("{good} of {assessed} assessed")), "{note}");
    let percent = read(&browser, "#tile-compliance .value").await;
    let tenths = (1000.0 * good as f64 / assessed as f64).round() / 10.0;
    assert_eq!(percent, format!("{tenths:.1} %"));
    for (tile, column) in
        [("critical", "CriticalUpdatesMissing"), ("security", "SecurityUpdatesMissing")]
    {
        let missing =
            world.number(&format!("SELECT toUInt64(sum({column})) FROM ({ASSESSED})")).await;
        assert_eq!(read(&browser, &format!("#tile-{tile} .value")).await, shown(missing));
    }
    let class = "Security Updates";
    let counted = world
        .number(&format!(
            "SELECT count() FROM Update WHERE {MISSING} AND Classification = '{class}'"
        ))
        .await;
    assert_eq!(cells(&browser, "#classifications", class).await[1], shown(counted));

    // From a state to its machines.
    let pending = world.number(&format!("SELECT countIf(RestartPending) FROM ({ASSESSED})")).await;
    assert_eq!(cells(&browser, "#states", "Restart pending").await[1], shown(pending));
    browser.click("#states tbody tr:nth-child(3) a").await;
    browser.until("document.querySelector('h1').innerText === 'Machines'").await;
    settled(&browser).await;
    assert_eq!(total(&browser).await, pending);
    assert_eq!(
        browser.value("document.activeElement.tagName").await,
        "H1",
        "the heading has the focus"
    );

    // To one machine, and why its updates are classified so.
    let name = world.text(&format!(
        "SELECT Computer FROM Update WHERE {MISSING} AND ClassificationSource = 'catalog' \
         AND Computer NOT IN (SELECT Computer FROM known_computers GROUP BY Computer HAVING count() > 1) \
         GROUP BY Computer ORDER BY count() DESC, Computer LIMIT 1"
    )).await;
    browser.open(&format!("{}/#/machines?search={name}", world.url)).await;
    settled(&browser).await;
    assert_eq!(total(&browser).await, 1);
    browser.click("#table-machines tbody a").await;
    browser.until(&format!("document.querySelector('h1').innerText === {}", json!(name))).await;
    settled(&browser).await;
    let missing = world
        .number(&format!("SELECT count() FROM Update WHERE {MISSING} AND Computer = '{name}'"))
        .await;
    let place = read(&browser, "#updates .pager span").await;
    assert!(place.ends_with(&format!("of {}", shown(missing))), "{place}: {missing}");
    let says = read(&browser, "#updates tbody").await;
    assert!(says.contains("the catalog by "), "{says}");
    let history = world.number(&format!(
        "SELECT count() FROM UpdateHistory WHERE Computer = '{name}' AND TimeGenerated > now() - INTERVAL 1 DAY"
    )).await;
    let place = read(&browser, "#history .pager span").await;
    assert!(place.ends_with(&format!("of {}", shown(history))), "{place}: {history}");

    // Missing updates, by classification, and the computers that miss one.
    browser.click("nav a[href^='#/missing']").await;
    browser.until("document.querySelector('h1').innerText === 'Missing updates'").await;
    settled(&browser).await;
    let kinds = "if(Title = '', Product, Title), if(OSType = 'Linux', ProductVersion, ''), OSType, KBID, Classification, ClassificationSource";
    let distinct =
        world.number(&format!("SELECT uniqExact({kinds}) FROM Update WHERE {MISSING}")).await;
    assert_eq!(total(&browser).await, distinct);
    let first = read(&browser, "#table-missing tbody tr td").await;
    let most = world.number(&format!(
        "SELECT uniqExact(SourceComputerId) AS n FROM Update WHERE {MISSING} GROUP BY {kinds} ORDER BY n DESC LIMIT 1"
    )).await;
    assert_eq!(first, shown(most));
    let name = read(&browser, "#table-missing tbody a").await;
    browser.click("#table-missing tbody a").await;
    browser.until(&format!("document.querySelector('h1').innerText === {}", json!(name))).await;
    settled(&browser).await;
    assert!(total(&browser).await >= most);

    // Deployments: the list, and the pages of a run.
    browser.click("nav a[href^='#/deployments']").await;
    browser.until("document.querySelector('h1').innerText === 'Update deployments'").await;
    settled(&browser).await;
    assert_eq!(total(&browser).await, 3);
    browser.click("#table-deployments tbody a").await;
    browser.until(&format!("document.querySelector('h1').innerText === '{RUN}'")).await;
    settled(&browser).await;
    for status in ["Succeeded", "Failed"] {
        let counted = world.number(&format!(
            "SELECT count() FROM UpdateDeploymentComputers WHERE Name = '{RUN}' AND OSType = 'Linux' AND Status = '{status}'"
        )).await;
        assert_eq!(cells(&browser, "#statuses-Linux", status).await[1], shown(counted), "{status}");
    }
    let updates = world
        .number(&format!("SELECT count() FROM UpdateDeploymentUpdates WHERE Name = '{RUN}'"))
        .await;
    let place = read(&browser, "#updates-Linux .pager span").await;
    assert!(place.ends_with(&format!("of {}", shown(updates))), "{place}: {updates}");

    // The pipeline.
    browser.click("nav a[href^='#/pipeline']").await;
    browser.until("document.querySelector('h1').innerText === 'Pipeline'").await;
    settled(&browser).await;
    let beats = world
        .number("SELECT count() FROM Heartbeat WHERE TimeReceived > now() - INTERVAL 1 DAY")
        .await;
    assert_eq!(cells(&browser, "#tables", "Heartbeat").await[1], shown(beats));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_chosen_is_in_the_address_and_the_way_back_leads_back() {
    let browser = at("address", "#/machines").await;
    browser.click("#table-machines-search").await;
    browser.write("contoso").await;
    browser.until("location.hash.includes('search=contoso')").await;
    settled(&browser).await;
    let found = total(&browser).await;
    let counted = world()
        .number("SELECT count() FROM known_computers WHERE position(Computer, 'contoso') > 0")
        .await;
    assert_eq!(found, counted);
    browser.click("#table-machines-Security").await;
    browser
        .until(
            "document.querySelector('th[aria-sort=descending]')?.innerText.startsWith('Security')",
        )
        .await;
    settled(&browser).await;
    let column = "[...document.querySelectorAll('#table-machines tbody tr')].map((row) => Number(row.cells[3].innerText.replace('–', '-1')))";
    let falls = format!("{column}.every((value, at, all) => at === 0 || all[at - 1] >= value)");
    assert_eq!(browser.value(&falls).await, true);
    let address = browser.value("location.href").await;

    browser.click("#range-7d").await;
    browser
        .until("document.querySelector('#range-7d').getAttribute('aria-pressed') === 'true'")
        .await;
    settled(&browser).await;
    assert_eq!(browser.value("document.activeElement.id").await, "range-7d", "the focus stays");
    browser.value("history.back()").await;
    browser
        .until("document.querySelector('#range-1d').getAttribute('aria-pressed') === 'true'")
        .await;
    assert_eq!(browser.value("location.href").await, address);

    // The address alone leads whoever has it to the same rows.
    let rows = "document.querySelector('#table-machines tbody').innerText";
    settled(&browser).await;
    let before = browser.value(rows).await;
    browser.open(address.as_str().unwrap()).await;
    settled(&browser).await;
    assert_eq!(browser.value(rows).await, before);
    assert_eq!(
        browser.value("document.querySelector('#table-machines-search').value").await,
        "contoso"
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn pages_of_a_table_are_turned() {
    let browser = at("turn", "#/missing?size=25").await;
    let names =
        "[...document.querySelectorAll('#table-missing tbody tr')].map((row) => row.innerText)";
    let first = browser.value(names).await;
    assert_eq!(first.as_array().map(Vec::len), Some(25));
    assert_eq!(
        browser.value("document.querySelector('#table-missing-previous').disabled").await,
        true
    );
    browser.click("#table-missing-next").await;
    browser.until("document.querySelector('.pager span').innerText.startsWith('26–50 of')").await;
    let second = browser.value(names).await;
    let first = first.as_array().unwrap();
    assert!(second.as_array().unwrap().iter().all(|row| !first.contains(row)));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn a_custom_range_is_asked_for_and_a_wrong_one_is_refused() {
    let browser = at("custom", "").await;
    browser.click("#range-choose").await;
    let fill = |name: &str, value: &str| {
        format!("document.getElementById('range-{name}').value = '{value}'")
    };
    browser.value(&fill("from", "2020-01-02T00:00")).await;
    browser.value(&fill("to", "2020-01-01T00:00")).await;
    browser.click("#range-apply").await;
    browser
        .until("document.getElementById('range-wrong').innerText.includes('before the second')")
        .await;
    browser.value(&fill("to", "2020-01-03T00:00")).await;
    browser.click("#range-apply").await;
    browser.until("location.hash.includes('from=2020-01-02T00')").await;
    settled(&browser).await;
    // Nobody had scanned then: everybody is unknown, and there is no percentage.
    assert_eq!(read(&browser, "#tile-compliance .value").await, "–");
    assert_eq!(
        read(&browser, "#tile-unknown .value").await,
        read(&browser, "#tile-computers .value").await
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_that_is_markup_is_shown_as_text() {
    let browser = at("markup", "#/machines?search=%3Cimg").await;
    assert_eq!(total(&browser).await, 1);
    assert_eq!(read(&browser, "#table-machines tbody th").await, MARKUP);
    assert_eq!(browser.value("document.querySelectorAll('main img').length").await, 0);
    browser.click("#table-machines tbody a").await;
    browser.until(&format!("document.querySelector('h1').innerText === {}", json!(MARKUP))).await;
    settled(&browser).await;
    assert_ne!(browser.value("document.title").await, "run");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn it_can_be_used_by_keyboard_and_says_what_it_is() {
    let browser = at("keyboard", "#/machines").await;
    browser.value("document.body.focus()").await;
    browser.press("Tab", 9, "").await;
    assert_eq!(browser.value("document.activeElement.innerText").await, "Skip to the content");
    browser.press("Enter", 13, "\r").await;
    browser.until("document.activeElement.id === 'main'").await;
    assert_eq!(browser.value("location.hash").await, "#/machines");
    // Along to the first column's button, and sort by it.
    for _ in 0..40 {
        browser.press("Tab", 9, "").await;
        if browser.value("document.activeElement.id").await == "table-machines-Computer" {
            break;
        }
    }
    assert_eq!(browser.value("document.activeElement.id").await, "table-machines-Computer");
    let outline = browser.value("getComputedStyle(document.activeElement).outlineStyle").await;
    assert_eq!(outline, "solid", "the focus is seen");
    browser.press("Enter", 13, "\r").await;
    browser
        .until(
            "document.querySelector('th[aria-sort=descending]')?.innerText.startsWith('Computer')",
        )
        .await;
    browser
        .until("document.getElementById('said').innerText.startsWith('Machines: 1–50 of')")
        .await;

    for hash in ["", "#/machines", "#/missing", "#/deployments", "#/pipeline"] {
        browser.open(&format!("{}/{hash}", world().url)).await;
        settled(&browser).await;
        let unnamed = browser
            .value(
                "[...document.querySelectorAll('button, a, input, select, table, [role=img], [role=region], section')] \
                 .filter((one) => !(one.innerText?.trim() || one.getAttribute('aria-label') || one.labels?.length || one.caption)) \
                 .map((one) => one.outerHTML)",
            )
            .await;
        assert_eq!(unnamed, json!([]), "{hash}");
        let heads = "document.querySelectorAll('thead th:not([scope=col]), tbody th:not([scope=row])').length - document.querySelectorAll('.u-legend th').length";
        assert_eq!(browser.value(heads).await, 0, "{hash}");
        let charts = "[...document.querySelectorAll('figure')].every((one) => one.querySelector('details table tbody tr'))";
        assert_eq!(browser.value(charts).await, true, "{hash}: a chart without its figures");
        let ids = "new Set([...document.querySelectorAll('[id]')].map((one) => one.id)).size === document.querySelectorAll('[id]').length";
        assert_eq!(browser.value(ids).await, true, "{hash}: an id that is there twice");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn light_and_dark_follow_the_system_until_somebody_chooses() {
    let browser = at("theme", "").await;
    let theme = "document.documentElement.dataset.theme";
    let back = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.value(theme).await, "light");
    let light = browser.value(back).await;
    browser.look_like(1280, 900, true).await;
    browser.until("document.documentElement.dataset.theme === 'dark'").await;
    assert_ne!(browser.value(back).await, light);
    browser.click("#theme").await;
    browser.until("document.documentElement.dataset.theme === 'light'").await;
    assert_eq!(browser.value(back).await, light);
    browser.open(&format!("{}/", world().url)).await;
    assert_eq!(browser.value(theme).await, "light", "the choice stays");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn no_page_is_wider_than_its_window_and_pictures_are_taken() {
    let folder = world().scratch.join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    let computer = world()
        .text("SELECT SourceComputerId FROM Update WHERE OSType = 'Windows' GROUP BY 1 ORDER BY count() DESC, 1 LIMIT 1")
        .await;
    let run: String = form_urlencoded::byte_serialize(RUN.as_bytes()).collect();
    let pages = [
        ("overview", String::new()),
        ("machines", "#/machines".to_owned()),
        ("machine", format!("#/machine/{computer}?u.updates=all")),
        ("missing", "#/missing".to_owned()),
        ("update", "#/update/openssl?os=Linux".to_owned()),
        ("deployments", "#/deployments".to_owned()),
        ("deployment", format!("#/deployment/{}", run.replace('+', "%20"))),
        ("pipeline", "#/pipeline".to_owned()),
    ];
    let browser = at("pictures", "").await;
    for (width, dark) in [(1280, false), (1280, true), (390, false)] {
        browser.look_like(width, 900, dark).await;
        // Dark, no page has another shape: one picture shows the colours.
        for (name, hash) in pages.iter().take(if dark { 1 } else { pages.len() }) {
            browser.open(&format!("{}/{hash}", world().url)).await;
            settled(&browser).await;
            let over = "document.documentElement.scrollWidth - innerWidth";
            assert_eq!(browser.value(over).await, 0, "{name} at {width}");
            let theme = if dark { "dark" } else { "light" };
            browser.picture(&folder.join(format!("{name}-{width}-{theme}.png"))).await;
        }
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn without_clickhouse_every_part_of_the_page_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let clickhouse = ClickHouseConfig { url, ..ClickHouseConfig::default() };
    let console = serve(clickhouse, ConsoleConfig::default()).await;
    let browser = Browser::start(&world().scratch.join("profile-away")).await;
    for hash in ["", "#/machines", "#/missing", "#/deployments", "#/pipeline"] {
        browser.open(&format!("{console}/{hash}")).await;
        browser
            .until("document.querySelector('main h1') && !document.querySelector('[aria-busy]')")
            .await;
        let problems = "[...document.querySelectorAll('.problem')].map((one) => one.innerText)";
        let problems = browser.value(problems).await;
        let problems = problems.as_array().unwrap();
        assert!(!problems.is_empty(), "{hash} is blank");
        for problem in problems {
            assert!(problem.as_str().unwrap().contains("ClickHouse does not answer"), "{problem}");
        }
        let again = browser.value("document.querySelector('.problem button').innerText").await;
        assert_eq!(again, "Try again");
    }
}
