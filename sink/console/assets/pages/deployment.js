// One update deployment: what it is, and of a run the computers view and the updates view.

import { ask } from "../api.js";
import { article, badge, count, h, percent, tone, when } from "../dom.js";
import { bars, pagedTable, plainTable, section } from "../table.js";

const STATUSES = ["Succeeded", "InProgress", "NotStarted", "Failed", "FailedToStart", "MaintenanceWindowExceeded"];
const SYSTEMS = ["Windows", "Linux"];

export function show(main, route) {
  const name = route.about;
  const run = route.get("run");
  const get = (query, more = {}) => ask(query, { name, ...more }, route.signal);
  const runs = h("select", { id: "run", onchange: () => {
    location.hash = route.link("deployment", name, { run: runs.value });
  } }, h("option", { value: "" }, "newest"));
  if (run) runs.append(h("option", { value: run }, run.slice(0, 16).replace("T", " ")));
  runs.value = run;
  get("deployment-runs").then(({ rows }) => {
    runs.append(...rows.map((row) => row.RunStart).filter((start) => start !== run)
      .map((start) => h("option", { value: start }, start.slice(0, 16).replace("T", " "))));
  }, () => {});

  const statuses = (os) => section(`${os} computers`, route, async () => {
    const { rows } = await get("deployment-statuses", { run });
    const all = STATUSES.map((Status) => rows.find((row) => row.OSType === os && row.Status === Status) ?? { Status, Computers: 0 });
    return plainTable(`${os} computers by status`, [
      { label: "Status", cell: (row) => h("a", { href: route.link("deployment", name, { run, "c.os": os, "c.status": row.Status }) }, row.Status) },
      bars("Computers", all, (row) => row.Computers, (row) => tone(row.Status)),
    ], all);
  }, { id: `statuses-${os}` });
  const updates = (os, prefix) => h("section", { class: "wide", id: `updates-${os}`, "aria-label": `${os} updates` }, h("h3", {}, `${os} updates`),
    pagedTable({
      caption: `${os} updates`, query: "deployment-updates", fixed: { name, run, os }, route, prefix, search: "title or KB",
      empty: "No update was reported.", size: 25,
      columns: [
        { name: "Title", label: "Update", sort: true, class: "long", cell: (row) => [row.Title, row.IsExcluded ? " (excluded)" : ""] },
        { name: "KB", label: "KB", sort: true, cell: (row) => article(row.KB) },
        { name: "Computers", label: "Computers", sort: true, number: true, cell: (row) => count(row.Computers) },
        { name: "PercentInstalled", label: "Installed", sort: true, number: true, cell: (row) => percent(row.PercentInstalled) },
        { name: "Succeeded", label: "Succeeded", sort: true, number: true, cell: (row) => count(row.Succeeded) },
        { name: "Failed", label: "Failed", sort: true, number: true, cell: (row) => count(row.Failed) },
        { name: "InProgress", label: "In progress", sort: true, number: true, cell: (row) => count(row.InProgress) },
        { name: "NotStarted", label: "Not started", sort: true, number: true, cell: (row) => count(row.NotStarted) },
        { label: "Out of time", number: true, cell: (row) => count(row.MaintenanceWindowExceeded) },
        { name: "LastReport", label: "Last report (UTC)", sort: true, descending: true, cell: (row) => when(row.LastReport) },
      ],
    }));
  main.append(
    h("p", {}, h("a", { href: route.link("deployments") }, "All update deployments")),
    h("div", { class: "head" }, h("h1", { tabindex: "-1" }, name), h("label", {}, "Run (UTC) ", runs)),
    section("Definition", route, async () => {
      const { rows: [row] } = await get("deployment");
      if (!row) return h("p", { class: "quiet" }, "There is no update deployment of this name; runs without a definition have no status pages.");
      const facts = [
        ["Status", badge(row.Status)], ["Schedule", row.Schedule], ["Start (UTC)", when(row.StartTime)], ["Next run (UTC)", when(row.NextStart)],
        ["Last run (UTC)", when(row.LastStart)], ["Duration, minutes", count(row.Duration)], ["Servers", count(row.Servers)], ["Time zone", row.TimeZone],
        ["System", row.OSType || "all"], ["Computers", row.Computers], ["Computer groups", row.ComputerGroups],
        ["Classifications", row.Classifications || "all"], ["Exclusions", row.Exclusions || "none"],
      ];
      return h("dl", { class: "facts" }, facts.filter(([, value]) => value !== "").map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))));
    }, { class: "wide", id: "definition" }),
    h("h2", { class: "wide" }, "Computers view"), ...SYSTEMS.map(statuses),
    h("section", { class: "wide", id: "computers", "aria-label": "Computer installation status" }, h("h3", {}, "Computer installation status"),
      pagedTable({
        caption: "Computer installation status", query: "deployment-computers", fixed: { name, run }, route, prefix: "c.", search: "computer",
        empty: "No computer matches; before the first run there is none.", size: 25,
        filters: [
          { name: "os", label: "System", values: [["Linux"], ["Windows"]] },
          { name: "status", label: "Status", values: STATUSES.map((status) => [status]) },
        ],
        columns: [
          { name: "Computer", label: "Computer", sort: true, cell: (row) => h("a", { href: route.link("machine", row.SourceComputerId) }, row.Computer) },
          { name: "OSType", label: "System", sort: true, cell: (row) => row.OSType },
          { name: "Status", label: "Status", sort: true, cell: (row) => badge(row.Status) },
          { name: "PercentInstalled", label: "Installed", sort: true, number: true, cell: (row) => percent(row.PercentInstalled) },
          { name: "Updates", label: "Updates", sort: true, number: true, cell: (row) => count(row.Updates) },
          { name: "Succeeded", label: "Succeeded", sort: true, number: true, cell: (row) => count(row.Succeeded) },
          { name: "Failed", label: "Failed", sort: true, number: true, cell: (row) => count(row.Failed) },
          { name: "InProgress", label: "In progress", sort: true, number: true, cell: (row) => count(row.InProgress) },
          { name: "NotStarted", label: "Not started", sort: true, number: true, cell: (row) => count(row.NotStarted) },
          { name: "LastReport", label: "Last report (UTC)", sort: true, descending: true, cell: (row) => when(row.LastReport) },
        ],
      })),
    h("h2", { class: "wide" }, "Updates view"), updates("Windows", "w."), updates("Linux", "l."),
  );
  return name;
}
