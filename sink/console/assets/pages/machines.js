// All computers, to filter, search and sort.

import { ask } from "../api.js";
import { badge, count, h, when } from "../dom.js";
import { pagedTable } from "../table.js";

export function show(main, route) {
  const later = ask("groups", {}, route.signal).then(({ rows }) => rows.map((row) => [row.ManagementGroup]));
  main.append(
    h("h1", { tabindex: "-1" }, "Machines"),
    pagedTable({
      caption: "Machines", query: "machines", route, search: "name or id", empty: "No computer matches.",
      filters: [
        { name: "group", label: "Management group", values: [], later },
        { name: "os", label: "System", values: [["Linux"], ["Windows"]] },
        { name: "state", label: "State", values: [["Up to date"], ["Updates needed"], ["Restart pending"], ["Not assessed"], ["Not reporting"]] },
        { name: "readiness", label: "Agent", values: [["Ready"], ["Disconnected"], ["Not configured"]] },
        { name: "age", label: "Oldest missing security update", values: [["None"], ["Recent"], ["30 days ago"], ["60 days ago"], ["90 days ago"], ["120 days ago"], ["150 days ago"], ["180 days ago"], ["Older"]] },
      ],
      columns: [
        { name: "Computer", label: "Computer", sort: true, cell: (row) => h("a", { href: route.link("machine", row.SourceComputerId) }, row.Computer || row.SourceComputerId) },
        { name: "State", label: "State", sort: true, cell: (row) => badge(row.State) },
        { name: "Critical", label: "Critical", sort: true, number: true, cell: (row) => count(row.Critical) },
        { name: "Security", label: "Security", sort: true, number: true, cell: (row) => count(row.Security) },
        { name: "Other", label: "Other", sort: true, number: true, cell: (row) => count(row.Other) },
        { name: "OldestDays", label: "Oldest, days", sort: true, number: true, cell: (row) => count(row.OldestDays) },
        { name: "Readiness", label: "Agent", sort: true, cell: (row) => badge(row.Readiness) },
        { name: "LastAssessed", label: "Last assessed (UTC)", sort: true, descending: true, cell: (row) => when(row.LastAssessed) },
        { name: "LastSeen", label: "Last heard of (UTC)", sort: true, descending: true, cell: (row) => when(row.LastSeen) },
        { name: "OSType", label: "System", sort: true, cell: (row) => `${row.OSType} ${row.OSVersion}` },
        { name: "ManagementGroup", label: "Management group", sort: true, cell: (row) => row.ManagementGroup },
      ],
    }),
  );
  return "Machines";
}
