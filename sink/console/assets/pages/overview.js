// The overview: how many computers stand where, how compliant they are, what is missing and for how long.

import { ask } from "../api.js";
import { count, h, percent, share, tone } from "../dom.js";
import { bars, plainTable, section } from "../table.js";
import { timeChart } from "../chart.js";

const STATES = ["Up to date", "Updates needed", "Restart pending", "Not assessed", "Not reporting"];
const AGES = ["None", "Recent", "30 days ago", "60 days ago", "90 days ago", "120 days ago", "150 days ago", "180 days ago", "Older"];

function tile(id, label, value, note, href) {
  return h("li", { class: "tile", id }, h("span", { class: "label" }, label),
    h("span", { class: "value" }, href ? h("a", { href }, value) : value), h("span", { class: "quiet" }, note));
}

export function show(main, route) {
  const asked = { ...route.range(), group: route.get("group") };
  const get = (query) => ask(query, asked, route.signal);
  const compliance = get("compliance");
  const states = get("states");
  // Each is waited for where it is drawn.
  compliance.catch(() => {});
  states.catch(() => {});

  const groups = h("select", { id: "group", onchange: () => {
    location.hash = route.link("", "", { group: groups.value });
  } }, h("option", { value: "" }, "all"));
  if (asked.group) groups.append(h("option", { value: asked.group }, asked.group));
  groups.value = asked.group;
  ask("groups", {}, route.signal).then(({ rows }) => {
    const others = rows.map((row) => row.ManagementGroup).filter((name) => name && name !== asked.group);
    groups.append(...others.map((name) => h("option", { value: name }, name)));
  }, () => {});

  const sum = (rows, name) => rows.reduce((all, row) => all + row[name], 0);
  main.append(
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Overview"), h("label", {}, "Management group ", groups)),
    section("Compliance", route, async () => {
      const { rows } = await compliance;
      const [all, assessed, good] = ["Computers", "AssessedComputers", "Compliant"].map((name) => sum(rows, name));
      return h("ul", { class: "tiles" },
        tile("tile-computers", "Computers", count(all), "heard of within 30 days", route.link("machines")),
        tile("tile-compliance", "Compliant", percent(share(good, assessed)), `${count(good)} of ${count(assessed)} assessed miss no critical or security update`),
        tile("tile-unknown", "Unknown", count(all - assessed), "not assessed in the time range, or not reporting; in no percentage"),
        tile("tile-critical", "Critical updates missing", count(sum(rows, "CriticalMissing")), "over all assessed computers", route.link("missing", "", { classification: "Critical Updates" })),
        tile("tile-security", "Security updates missing", count(sum(rows, "SecurityMissing")), "over all assessed computers", route.link("missing", "", { classification: "Security Updates" })));
    }, { class: "wide" }),
    section("Computers by state", route, async () => {
      const { rows } = await states;
      const all = STATES.map((State) => rows.find((row) => row.State === State) ?? { State, Linux: 0, Windows: 0, Computers: 0 });
      return plainTable("Computers by state", [
        { label: "State", cell: (row) => h("a", { href: route.link("machines", "", { state: row.State }) }, row.State) },
        bars("Computers", all, (row) => row.Computers, (row) => tone(row.State)),
        { label: "Linux", number: true, cell: (row) => count(row.Linux) },
        { label: "Windows", number: true, cell: (row) => count(row.Windows) },
      ], all);
    }, { id: "states" }),
    section("Missing updates by classification", route, async () => {
      const { rows } = await get("classifications");
      if (!rows.length) return h("p", { class: "quiet" }, "Nothing is missing on the computers assessed in the time range.");
      return plainTable("Missing updates by classification", [
        { label: "Classification", cell: (row) => h("a", { href: route.link("missing", "", { classification: row.Classification }) }, row.Classification) },
        bars("Missing", rows, (row) => row.Missing, (row) => tone(row.Classification)),
        { label: "Computers", number: true, cell: (row) => count(row.Computers) },
        { label: "Linux", number: true, cell: (row) => count(row.Linux) },
        { label: "Windows", number: true, cell: (row) => count(row.Windows) },
      ], rows);
    }, { id: "classifications" }),
    section("Oldest missing security update", route, async () => {
      const { rows } = await get("ages");
      const all = AGES.map((Age) => rows.find((row) => row.Age === Age) ?? { Age, Computers: 0 });
      return plainTable("Computers by the age of their oldest missing security update", [
        { label: "Published", cell: (row) => h("a", { href: route.link("machines", "", { age: row.Age }) }, row.Age) },
        bars("Computers", all, (row) => row.Computers, (row) => (row.Age === "None" ? "good" : "warn")),
      ], all);
    }, { id: "ages" }),
    section("Compliance by system", route, async () => {
      const { rows } = await compliance;
      return plainTable("Compliance by system", [
        { label: "System", cell: (row) => `${row.OSType} ${row.OSVersion}`.trim() || "not told" },
        { label: "Computers", number: true, cell: (row) => count(row.Computers) },
        { label: "Unknown", number: true, cell: (row) => count(row.Unknown) },
        { label: "Compliant", number: true, cell: (row) => percent(share(row.Compliant, row.AssessedComputers)) },
        { label: "Critical", number: true, cell: (row) => count(row.CriticalMissing) },
        { label: "Security", number: true, cell: (row) => count(row.SecurityMissing) },
      ], rows);
    }, { id: "systems" }),
    section("Trend", route, async () => {
      const { rows } = await get("trend");
      const times = rows.map((row) => row.Time);
      const line = (label, name, colour) => ({ label, colour, values: rows.map((row) => row[name]) });
      return h("div", { class: "charts" },
        timeChart({ title: "Compliant computers, per cent of those assessed", times, route, min: 0, max: 100, format: percent, series: [
          { label: "Compliant", colour: "--good", values: rows.map((row) => share(row.CompliantComputers, row.AssessedComputers)) },
        ] }),
        timeChart({ title: "Missing updates", times, route, series: [
          line("Critical", "CriticalMissing", "--bad"), line("Security", "SecurityMissing", "--warn"), line("Other", "OtherMissing", "--info"),
        ] }));
    }, { id: "trend", class: "wide" }),
  );
  return "Overview";
}
