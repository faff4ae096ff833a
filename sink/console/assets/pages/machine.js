// One computer: how it stands, what it misses and why that is so classified, what became of its updates.

import { ask } from "../api.js";
import { article, badge, bulletin, count, h, seconds, when } from "../dom.js";
import { pagedTable, section } from "../table.js";
import { timeChart } from "../chart.js";

const WHY = { catalog: "the catalog", agent: "the computer itself", default: "nobody; the default for its system" };

/** Why an update has its classification, in words. */
export function why(row) {
  const said = row.AgentClassification ? ` (the computer says ${row.AgentClassification})` : "";
  const by = h("span", {}, WHY[row.ClassificationSource] ?? row.ClassificationSource);
  if (row.ClassificationSource !== "catalog") return by;
  return [by, h("span", { class: "quiet" }, ` by ${(row.AdvisoryIDs || "an entry without a name").replaceAll(";", ", ")}${said}`)];
}

function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined)
    .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function show(main, route) {
  const id = route.about;
  const get = (query) => ask(query, { ...route.range(), computer: id }, route.signal);
  const heading = h("h1", { tabindex: "-1" }, id);
  main.append(
    h("p", {}, h("a", { href: route.link("machines") }, "All machines")), heading,
    section("Now", route, async () => {
      const { rows: [row] } = await get("machine");
      if (!row) return h("p", { class: "quiet" }, "No computer of this id was heard of within 30 days.");
      heading.textContent = row.Computer || id;
      document.title = `${row.Computer || id} – Patchline`;
      return facts([
        ["State", badge(row.State)], ["Agent", badge(row.Readiness)],
        ["Critical missing", count(row.Critical)], ["Security missing", count(row.Security)], ["Other missing", count(row.Other)],
        ["Oldest missing security update", row.OldestDays === null ? "none" : `${count(row.OldestDays)} days (${row.Age})`],
        ["Restart pending", row.RestartPending ? "yes" : "no"],
        ["Automatic updates", row.WindowsUpdate],
        ["Last assessed (UTC)", when(row.LastAssessed)], ["Last heard of (UTC)", when(row.LastSeen)], ["Last heartbeat (UTC)", when(row.LastHeartbeat)],
        ["System", `${row.OSName || row.OSType} ${row.OSVersion}`], ["Management group", row.ManagementGroup],
        ["Agent's version", [row.Category, row.AgentVersion].filter(Boolean).join(" ")], ["Address", row.ComputerIP],
        ["Solutions", row.Solutions], ["Environment", row.ComputerEnvironment], ["Azure resource", row.ResourceId],
        ["Id", h("code", {}, row.SourceComputerId)],
      ]);
    }, { id: "now", class: "wide" }),
    h("section", { class: "wide", id: "updates", "aria-label": "Updates" }, h("h2", {}, "Updates of its newest scan"),
      pagedTable({
        caption: "Updates", query: "machine-updates", fixed: { computer: id }, route, prefix: "u.", search: "name, KB, advisory or CVE",
        empty: "No update matches.", size: 25,
        filters: [
          { name: "updates", label: "Show", start: "Missing", values: [["Missing", "missing"], ["Needed", "needed, also optional or not approved"], ["Installed", "installed (Windows)"], ["Not needed", "installed (Linux)"]] },
          { name: "classification", label: "Classification", values: [["Critical Updates"], ["Security Updates"], ["Other Updates"], ["Updates"], ["Update Rollups"], ["Definition Updates"], ["Feature Packs"], ["Service Packs"], ["Applications"]] },
        ],
        columns: [
          { name: "Name", label: "Update", sort: true, class: "long", cell: (row) => row.Name },
          { name: "UpdateState", label: "State", sort: true, cell: (row) => [badge(row.UpdateState), row.Optional ? " optional" : "", row.Approved ? "" : " not approved"] },
          { name: "Classification", label: "Classification", sort: true, cell: (row) => badge(row.Classification) },
          { name: "ClassificationSource", label: "Says", sort: true, class: "long", cell: why },
          { name: "Severity", label: "Severity", sort: true, cell: (row) => row.Severity },
          { name: "KB", label: "KB", sort: true, cell: (row) => article(row.KB) },
          { label: "Bulletin", class: "long", cell: bulletin },
          { label: "CVE", class: "long", cell: (row) => row.CVENumbers.replaceAll(";", ", ") },
          { name: "Version", label: "Version", sort: true, cell: (row) => row.Version },
          { name: "Published", label: "Published (UTC)", sort: true, descending: true, cell: (row) => when(row.Published) },
        ],
      })),
    section("Scans in the time range", route, async () => {
      const { rows } = await get("machine-scans");
      if (!rows.length) return h("p", { class: "quiet" }, "No scan in the time range.");
      const points = rows.toReversed();
      const line = (label, name, colour) => ({ label, colour, values: points.map((row) => row[name]) });
      return timeChart({ title: "Missing updates", times: points.map((row) => row.Time), route, series: [
        line("Critical", "CriticalMissing", "--bad"), line("Security", "SecurityMissing", "--warn"), line("Other", "OtherMissing", "--info"),
      ] });
    }, { id: "scans" }),
    section("Heartbeats in the time range", route, async () => {
      const { rows } = await get("machine-heartbeats");
      if (!rows.length) return h("p", { class: "quiet" }, "No heartbeat in the time range.");
      return timeChart({ title: "Heartbeats", sums: true, times: rows.map((row) => row.Time), route, series: [
        { label: "Heartbeats", colour: "--info", values: rows.map((row) => row.Heartbeats) },
      ] });
    }, { id: "heartbeats" }),
    h("section", { class: "wide", id: "history", "aria-label": "History" }, h("h2", {}, "What became of its updates in the time range"),
      pagedTable({
        caption: "History", query: "machine-history", fixed: { computer: id }, route, prefix: "h.", empty: "Nothing changed in the time range.", size: 25,
        columns: [
          { name: "Name", label: "Update", sort: true, class: "long", cell: (row) => row.Name },
          { label: "Version", cell: (row) => row.Version },
          { name: "State", label: "Became", sort: true, cell: (row) => badge(row.State) },
          { name: "Time", label: "When (UTC)", sort: true, descending: true, cell: (row) => when(row.Time) },
          { name: "Classification", label: "Classification", sort: true, cell: (row) => badge(row.Classification) },
          { name: "FirstNeeded", label: "First needed (UTC)", sort: true, descending: true, cell: (row) => when(row.FirstNeeded) },
          { name: "DaysToPatch", label: "Time to patch", sort: true, number: true, cell: (row) => seconds(row.DaysToPatch === null ? null : row.DaysToPatch * 86400) },
        ],
      })),
    h("section", { class: "wide", id: "runs", "aria-label": "Update runs" }, h("h2", {}, "Update runs in the time range"),
      pagedTable({
        caption: "Update runs", query: "machine-runs", fixed: { computer: id }, route, prefix: "r.", empty: "No update run in the time range.", size: 25,
        columns: [
          { name: "Name", label: "Update", sort: true, class: "long", cell: (row) => row.Name },
          { name: "Run", label: "Run", sort: true, cell: (row) => h("a", { href: route.link("deployment", row.Run) }, row.Run) },
          { name: "Status", label: "Status", sort: true, cell: (row) => badge(row.Status) },
          { name: "Time", label: "Reported (UTC)", sort: true, descending: true, cell: (row) => when(row.Time) },
          { label: "Began (UTC)", cell: (row) => when(row.Started) },
          { label: "Ended (UTC)", cell: (row) => when(row.Ended) },
          { label: "Error", class: "long", cell: (row) => row.Error },
        ],
      })),
  );
  return id;
}
