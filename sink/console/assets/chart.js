// Charts over time, each with the same figures as a table for those who do not see it.

import uPlot from "./vendor/uPlot.esm.js";
import { count, h, when } from "./dom.js";
import { plainTable } from "./table.js";
import { onTheme } from "./theme.js";

const HEIGHT = 220;

/** Lines differ by dashes as well as by colour. */
const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4], [1, 4]];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The time axis in UTC and by 24 hours; midnight, and the first tick, tell the day. */
function ticks(plot, splits, axis, space, step) {
  return splits.map((time, at) => {
    const text = new Date(time * 1000).toISOString();
    const [day, hour] = [text.slice(5, 10), text.slice(11, 16)];
    if (step >= 86400) return day;
    return at === 0 || hour === "00:00" ? `${hour}\n${day}` : hour;
  });
}

/**
 * A chart of `series`, each `{label, values, colour}` with a value or null for each of `times` (RFC 3339).
 * `format` makes a text of a value, `sums` says
 * that the whole range's sum tells more than the newest value.
 */
export function timeChart({ title, times, series, format = count, route, min = null, max = null, sums = false }) {
  const place = h("div", { class: "plot", role: "img", "aria-label": `Chart: ${title}. The same figures follow as a table.` });
  const seconds = times.map((time) => Date.parse(time) / 1000);
  const last = (values) => values.findLast((value) => value !== null) ?? null;
  const sum = (values) => values.reduce((all, value) => all + (value ?? 0), 0);
  const figures = series.map((one) => `${one.label}: ${format(sums ? sum(one.values) : last(one.values))}`).join(", ");
  let plot = null;
  const draw = () => {
    if (route.signal.aborted || !place.isConnected) return;
    plot?.destroy();
    const [text, grid] = [colour("--quiet"), colour("--line")];
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "12px system-ui, sans-serif" };
    const options = {
      width: Math.max(place.clientWidth, 200),
      height: HEIGHT,
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "UTC"),
      scales: { y: { range: (_, low, high) => [min ?? Math.min(0, low ?? 0), max ?? Math.max(1, (high ?? 1) * 1.05)] } },
      axes: [{ ...axis, values: ticks }, { ...axis, size: 64, values: (_, splits) => splits.map((split) => format(split)) }],
      series: [
        { label: "Time (UTC)", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
        ...series.map((one, at) => ({
          label: one.label,
          stroke: colour(one.colour),
          width: 2,
          dash: DASHES[at % DASHES.length],
          // A value alone between gaps has no line.
          points: { show: times.length < 2 || one.values.includes(null), size: 6 },
          value: (_, value) => (value === null || value === undefined ? "–" : format(value)),
        })),
      ],
    };
    plot = new uPlot(options, [seconds, ...series.map((one) => one.values)], place);
  };
  const resized = new ResizeObserver(() => {
    if (!plot) draw();
    else if (plot.width !== place.clientWidth && place.clientWidth > 0) plot.setSize({ width: place.clientWidth, height: HEIGHT });
  });
  resized.observe(place);
  onTheme(draw, route.signal);
  route.signal.addEventListener("abort", () => {
    resized.disconnect();
    plot?.destroy();
    plot = null;
  });
  const rows = times.map((time, at) => ({ time, values: series.map((one) => one.values[at]) }));
  const columns = [
    { label: "Time (UTC)", cell: (row) => when(row.time) },
    ...series.map((one, at) => ({ label: one.label, number: true, cell: (row) => (row.values[at] === null ? "–" : format(row.values[at])) })),
  ];
  return h("figure", {}, h("figcaption", {}, h("span", {}, title), h("span", { class: "quiet" }, `${sums ? "in all" : "newest"}: ${figures}`)), place,
    h("details", {}, h("summary", {}, "Figures as a table"), plainTable(`Figures: ${title}`, columns, rows)));
}
