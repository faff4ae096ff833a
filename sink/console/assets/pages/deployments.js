// The list of update deployments, grouped by status as the original service has them.

import { badge, count, h, when } from "../dom.js";
import { pagedTable } from "../table.js";

export function show(main, route) {
  main.append(
    h("h1", { tabindex: "-1" }, "Update deployments"),
    pagedTable({
      caption: "Update deployments", query: "deployments", route, search: "name", empty: "No update deployment matches.",
      filters: [{ name: "status", label: "Status", values: [["Scheduled"], ["Running"], ["Completed"]] }],
      columns: [
        { name: "Name", label: "Name", sort: true, cell: (row) => h("a", { href: route.link("deployment", row.Name) }, row.Name) },
        { name: "Status", label: "Status", sort: true, cell: (row) => badge(row.Status) },
        { name: "Schedule", label: "Schedule", sort: true, cell: (row) => row.Schedule },
        { name: "StartTime", label: "Start (UTC)", sort: true, descending: true, cell: (row) => when(row.StartTime) },
        { name: "Duration", label: "Minutes", sort: true, number: true, cell: (row) => count(row.Duration) },
        { name: "Servers", label: "Servers", sort: true, number: true, cell: (row) => count(row.Servers) },
        { name: "LastStart", label: "Last run (UTC)", sort: true, descending: true, cell: (row) => when(row.LastStart) },
        { name: "NextStart", label: "Next run (UTC)", sort: true, cell: (row) => when(row.NextStart) },
        { label: "Classifications", class: "long", cell: (row) => row.Classifications || "all" },
      ],
    }),
  );
  return "Update deployments";
}
