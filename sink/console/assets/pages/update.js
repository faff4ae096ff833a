// One missing update: the computers that miss it.

import { article, badge, bulletin, h, when } from "../dom.js";
import { pagedTable } from "../table.js";
import { why } from "./machine.js";

export function show(main, route) {
  const [os, version, kb, classification] = ["os", "version", "kb", "classification"].map((name) => route.get(name));
  main.append(
    h("p", {}, h("a", { href: route.link("missing") }, "All missing updates")),
    h("h1", { tabindex: "-1" }, route.about),
    h("p", { class: "quiet" }, [os, version, classification].filter(Boolean).join(", "), " ", article(kb)),
    pagedTable({
      caption: "Computers that miss it", query: "missing-machines", fixed: { name: route.about, os, version, kb, classification },
      route, prefix: "c.", search: "computer", empty: "No computer misses it.",
      columns: [
        { name: "Computer", label: "Computer", sort: true, cell: (row) => h("a", { href: route.link("machine", row.SourceComputerId) }, row.Computer || row.SourceComputerId) },
        { name: "Classification", label: "Classification", sort: true, cell: (row) => badge(row.Classification) },
        { name: "ClassificationSource", label: "Says", sort: true, class: "long", cell: why },
        { name: "Severity", label: "Severity", sort: true, cell: (row) => row.Severity },
        { label: "Bulletin", class: "long", cell: bulletin },
        { name: "OSName", label: "System", sort: true, cell: (row) => row.OSName },
        { name: "ManagementGroup", label: "Management group", sort: true, cell: (row) => row.ManagementGroup },
        { name: "LastAssessed", label: "Last assessed (UTC)", sort: true, descending: true, cell: (row) => when(row.LastAssessed) },
      ],
    }),
  );
  return route.about;
}
