// The pipeline as the tables tell of it: whether rows come, how many and how late. How the services fare is for their
// metrics.

import { ask } from "../api.js";
import { count, h, seconds, when } from "../dom.js";
import { plainTable, section } from "../table.js";
import { timeChart } from "../chart.js";

const COLOURS = ["--info", "--good", "--warn", "--bad", "--quiet"];

export function show(main, route) {
  const rates = ask("pipeline-rates", route.range(), route.signal);
  rates.catch(() => {});
  const chart = (title, name, format) => async () => {
    const { rows, from, to, step_ms: step } = await rates;
    if (!rows.length) return h("p", { class: "quiet" }, "Nothing arrived in the time range.");
    const begin = Date.parse(from);
    const steps = Math.floor((Date.parse(to) - begin) / step) + 1;
    const tables = [...new Set(rows.map((row) => row.Table))].sort();
    const place = (row) => Math.round((Date.parse(row.Time) - begin) / step);
    // Where nothing arrived there is no row: that is zero rows, and no delay at all.
    const values = (table) => {
      const found = new Map(rows.filter((row) => row.Table === table).map((row) => [place(row), row]));
      return Array.from({ length: steps }, (_, at) => found.get(at)?.[name] ?? (name === "Rows" ? 0 : null));
    };
    return timeChart({ title, route, format, sums: name === "Rows", times: Array.from({ length: steps }, (_, at) => new Date(begin + at * step).toISOString()),
      series: tables.map((table, at) => ({ label: table, colour: COLOURS[at % COLOURS.length], values: values(table) })) });
  };
  main.append(
    h("h1", { tabindex: "-1" }, "Pipeline"),
    section("Tables", route, async () => {
      const { rows } = await ask("pipeline", route.range(), route.signal);
      return plainTable("Tables", [
        { label: "Table", cell: (row) => row.Table },
        { label: "Rows", number: true, cell: (row) => count(row.Rows) },
        { label: "A minute", number: true, cell: (row) => count(row.RowsPerMinute) },
        { label: "Newest arrived (UTC)", cell: (row) => when(row.Received) },
        { label: "Newest made (UTC)", cell: (row) => when(row.Generated) },
        { label: "Delay, median", number: true, cell: (row) => seconds(row.DelayMedianSeconds) },
        { label: "Delay, 95th percentile", number: true, cell: (row) => seconds(row.Delay95Seconds) },
      ], rows);
    }, { class: "wide", id: "tables" }),
    h("p", { class: "quiet wide" }, "Rows that arrived in the time range. The delay is from a report's own time to its arrival at Patchline; ",
      "how long it then takes to be stored is in the services' metrics."),
    section("Rows over time", route, chart("Rows that arrived, in each forty-eighth of the range", "Rows", count), { id: "rates", class: "wide" }),
    section("Delay over time", route, chart("Delay of what arrived, 95th percentile", "Delay95Seconds", seconds), { id: "delays", class: "wide" }),
  );
  return "Pipeline";
}
