// Tables: of one whole answer, with bars in them, or of an answer that the server sorts, searches and pages.

import { address, ask } from "./api.js";
import { count, h, problem, say } from "./dom.js";

const SIZES = [25, 50, 100, 250];

/** How long after the last key a search is asked. */
const TYPING_MS = 250;

/** Draws what `load` gives into a section of the page; a problem stands in its place. */
export function section(title, route, load, attributes = {}) {
  const body = h("div", { class: "body", "aria-busy": "true" }, h("p", { class: "quiet" }, "Loading …"));
  const heading = h("h2", {}, title);
  const draw = async () => {
    body.setAttribute("aria-busy", "true");
    try {
      const drawn = await load();
      body.replaceChildren(...[drawn].flat());
    } catch (error) {
      if (error.name === "AbortError") return;
      body.replaceChildren(problem(error, draw));
    }
    body.removeAttribute("aria-busy");
  };
  draw();
  return h("section", { "aria-label": title, ...attributes }, heading, body);
}

/** A table of rows that are all there. A column has a `label`, a `cell`, and is a `number` or not. */
export function plainTable(caption, columns, rows) {
  const head = columns.map((column) => h("th", { scope: "col", class: column.number ? "number" : null }, column.label));
  const body = rows.map((row) => h("tr", {}, columns.map((column, place) => {
    const attributes = { class: column.number ? "number" : column.class };
    return place === 0 ? h("th", { scope: "row", ...attributes }, column.cell(row)) : h("td", attributes, column.cell(row));
  })));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

/** A column that draws a bar of `value` beside its number. */
export function bars(label, rows, value, tone = () => "none") {
  const most = Math.max(1, ...rows.map(value));
  return { label, class: "bar", cell: (row) => {
    const bar = h("span", { class: `fill ${tone(row)}`, "aria-hidden": "true" });
    bar.style.inlineSize = `${(100 * value(row)) / most}%`;
    return [h("span", { class: "figure" }, count(value(row))), h("span", { class: "track", "aria-hidden": "true" }, bar)];
  } };
}

/**
 * A table whose rows stay on the server. What is chosen on it is kept in the address, under names that begin with
 * `prefix`. Filters are `{name, label, values}`, with `[value, text]` pairs; one with a `start` begins with that.
 */
export function pagedTable({ caption, query, fixed = {}, columns, filters = [], search, route, prefix = "", empty, size = 50 }) {
  const key = (name) => (name === "group" ? name : `${prefix}${name}`);
  const id = `table-${prefix}${query}`;
  const starts = Object.fromEntries(filters.map((filter) => [filter.name, filter.start ?? ""]));
  const chosen = (name) => route.get(key(name)) || starts[name] || "";
  const parameters = () => ({
    ...fixed,
    ...route.range(),
    ...Object.fromEntries(filters.map((filter) => [filter.name, chosen(filter.name)]).filter(([, value]) => value !== "all")),
    search: search ? chosen("search") : "",
    sort: chosen("sort"),
    dir: chosen("dir"),
  });
  let asking = new AbortController();
  route.signal.addEventListener("abort", () => asking.abort());

  const body = h("tbody", {});
  const place = h("span", {});
  const trouble = h("div", {});
  const heads = columns.map((column) => {
    if (!column.sort) return h("th", { scope: "col", class: column.number ? "number" : null }, column.label);
    const button = h("button", { type: "button", id: `${id}-${column.name}`, onclick: () => sortBy(column) }, column.label);
    return h("th", { scope: "col", class: column.number ? "number" : null }, button);
  });
  const region = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { id }, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, heads)), body));
  const previous = h("button", { type: "button", id: `${id}-previous`, onclick: () => turn(-1) }, "Previous");
  const next = h("button", { type: "button", id: `${id}-next`, onclick: () => turn(1) }, "Next");
  const sizes = h("select", { id: `${id}-size`, onchange: () => choose({ size: sizes.value, page: "" }) },
    SIZES.map((value) => h("option", { value }, String(value))));
  sizes.value = chosen("size") || String(size);
  const file = h("a", { class: "button", download: `${query}.csv` }, "CSV");

  let answer = null;
  function choose(values, replace = false) {
    route.keep(Object.fromEntries(Object.entries(values).map(([name, value]) => [key(name), value])), replace);
    load();
  }
  function sortBy(column) {
    const descending = answer?.sort === column.name ? !answer.descending : Boolean(column.descending ?? column.number);
    choose({ sort: column.name, dir: descending ? "desc" : "asc", page: "" });
  }
  function turn(by) {
    choose({ page: String((answer?.page ?? 1) + by) });
  }
  async function load() {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    region.setAttribute("aria-busy", "true");
    const asked = parameters();
    const { sort, dir, ...all } = asked;
    file.href = address(query, { ...all, sort, dir, format: "csv" });
    try {
      answer = await ask(query, { ...asked, page: chosen("page"), size: sizes.value }, signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      body.replaceChildren();
      place.textContent = "";
      region.removeAttribute("aria-busy");
      trouble.replaceChildren(problem(error, load));
      return;
    }
    trouble.replaceChildren();
    columns.forEach((column, at) => {
      if (!column.sort) return;
      const sorted = answer.sort === column.name ? (answer.descending ? "descending" : "ascending") : "none";
      heads[at].setAttribute("aria-sort", sorted);
    });
    body.replaceChildren(...answer.rows.map((row) => h("tr", {}, columns.map((column, at) => {
      const attributes = { class: column.number ? "number" : column.class };
      return at === 0 ? h("th", { scope: "row", ...attributes }, column.cell(row)) : h("td", attributes, column.cell(row));
    }))));
    if (answer.rows.length === 0) {
      body.append(h("tr", {}, h("td", { colspan: columns.length, class: "quiet" }, answer.total ? "No such page." : empty)));
    }
    const first = (answer.page - 1) * answer.size;
    place.textContent = answer.rows.length
      ? `${count(first + 1)}–${count(first + answer.rows.length)} of ${count(answer.total)}`
      : `0 of ${count(answer.total)}`;
    previous.disabled = answer.page <= 1;
    next.disabled = first + answer.rows.length >= answer.total;
    region.removeAttribute("aria-busy");
    say(`${caption}: ${place.textContent}`);
  }

  const controls = filters.map((filter) => {
    const select = h("select", { id: `${id}-${filter.name}`, onchange: () => choose({ [filter.name]: select.value, page: "" }) },
      h("option", { value: filter.start ? "all" : "" }, "all"), filter.values.map(([value, text = value]) => h("option", { value }, text)));
    const fill = (values) => select.append(...values.map(([value, text = value]) => h("option", { value }, text)));
    const set = () => {
      const value = chosen(filter.name);
      if (value && ![...select.options].some((option) => option.value === value)) fill([[value]]);
      select.value = value;
    };
    set();
    // Values that only the tables know come later; what was chosen stays.
    filter.later?.then((values) => {
      const known = [...select.options].map((option) => option.value);
      fill(values.filter(([value]) => !known.includes(value)));
      set();
    }, () => {});
    return h("label", {}, `${filter.label} `, select);
  });
  if (search) {
    let typing = null;
    const input = h("input", { type: "search", id: `${id}-search`, value: chosen("search"), placeholder: search, maxlength: 100, oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => {
        if (!route.signal.aborted) choose({ search: input.value, page: "" }, true);
      }, TYPING_MS);
    } });
    controls.unshift(h("label", {}, "Search ", input));
  }
  load();
  return h("div", { class: "paged" },
    h("div", { class: "controls" }, controls, file),
    trouble, region,
    h("nav", { class: "pager", "aria-label": `Pages of: ${caption}` }, previous, place, next, h("label", {}, "Rows ", sizes)));
}
