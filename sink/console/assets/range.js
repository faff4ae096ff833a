// The time range, as the original service offers it: 6 hours, 1 day, 7 days, or two dates. In UTC, as the tables are.

import { h } from "./dom.js";

const RANGES = [["6h", "6 hours"], ["1d", "1 day"], ["7d", "7 days"]];

/** The range of a route as parameters of a query. */
export function rangeOf(parameters) {
  const from = parameters.get("from");
  const to = parameters.get("to");
  if (from && to) return { from, to };
  return { range: parameters.get("range") || "1d" };
}

function field(text) {
  return text ? text.slice(0, 16) : "";
}

/** The picker. `change` gets the new parameters. */
export function rangePicker(parameters, change) {
  const now = rangeOf(parameters);
  const custom = Boolean(now.from);
  const wrong = h("p", { class: "wrong", role: "alert", id: "range-wrong" });
  const input = (name, label, value) =>
    h("label", {}, `${label} (UTC) `, h("input", { type: "datetime-local", name, id: `range-${name}`, value, required: true }));
  const day = 86400000;
  const iso = (time) => new Date(time).toISOString();
  const form = h("form", { id: "range-custom", hidden: !custom, onsubmit: (event) => {
      event.preventDefault();
      const [from, to] = ["from", "to"].map((name) => form.elements[name].value);
      if (!from || !to || from >= to) {
        wrong.textContent = "The first time must be before the second.";
        return;
      }
      change({ range: "", from: `${from}:00Z`, to: `${to}:00Z` });
    } },
    input("from", "From", field(now.from) || field(iso(Date.now() - 7 * day))),
    input("to", "to", field(now.to) || field(iso(Date.now()))),
    h("button", { type: "submit", id: "range-apply" }, "Apply"), wrong);
  const button = (name, label, pressed, onclick) =>
    h("button", { type: "button", id: `range-${name}`, "aria-pressed": String(pressed), onclick }, label);
  return h("div", { class: "range", role: "group", "aria-label": "Data based on" },
    h("span", { "aria-hidden": "true" }, "Data based on"),
    RANGES.map(([name, label]) =>
      button(name, label, !custom && now.range === name, () => change({ range: name, from: "", to: "" }))),
    button("choose", "Custom", custom, () => {
      form.hidden = false;
      form.elements.from.focus();
    }),
    form);
}
