// What computers miss, with how many of them.

import { ask } from "../api.js";
import { article, badge, bulletin, count, h, when } from "../dom.js";
import { pagedTable } from "../table.js";

const SAYS = { catalog: "catalog", agent: "computer", default: "default" };

export function show(main, route) {
  const later = ask("groups", {}, route.signal).then(({ rows }) => rows.map((row) => [row.ManagementGroup]));
  const one = (row) => route.link("update", row.Name, { os: row.OSType, version: row.Version, kb: row.KB, classification: row.Classification });
  main.append(
    h("h1", { tabindex: "-1" }, "Missing updates"),
    h("p", { class: "quiet" }, "Needed, approved and not optional, by each computer's newest scan where that is in the time range."),
    pagedTable({
      caption: "Missing updates", query: "missing", route, search: "name, KB, bulletin or CVE", empty: "No missing update matches.",
      filters: [
        { name: "group", label: "Management group", values: [], later },
        { name: "os", label: "System", values: [["Linux"], ["Windows"]] },
        { name: "classification", label: "Classification", values: [["Critical Updates"], ["Security Updates"], ["Other Updates"], ["Updates"], ["Update Rollups"], ["Definition Updates"], ["Feature Packs"], ["Service Packs"], ["Applications"]] },
      ],
      columns: [
        { name: "Name", label: "Update", sort: true, class: "long", cell: (row) => h("a", { href: one(row) }, row.Name) },
        { name: "Computers", label: "Computers", sort: true, number: true, cell: (row) => count(row.Computers) },
        { name: "Classification", label: "Classification", sort: true, cell: (row) => badge(row.Classification) },
        { label: "Says", class: "long", cell: (row) => [SAYS[row.ClassificationSource] ?? row.ClassificationSource, row.AdvisoryIDs ? h("span", { class: "quiet" }, ` ${row.AdvisoryIDs.replaceAll(";", ", ")}`) : ""] },
        { name: "Severity", label: "Severity", sort: true, cell: (row) => row.Severity },
        { name: "KB", label: "KB", sort: true, cell: (row) => article(row.KB) },
        { label: "Bulletin", cell: bulletin },
        { name: "Version", label: "Version", sort: true, cell: (row) => row.Version },
        { name: "OSType", label: "System", sort: true, cell: (row) => row.OSType },
        { name: "Published", label: "Published (UTC)", sort: true, descending: true, cell: (row) => when(row.Published) },
      ],
    }),
  );
  return "Missing updates";
}
