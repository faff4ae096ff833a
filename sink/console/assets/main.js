// Routes: the part of the address behind `#` names the page and everything that was chosen on it, so that any view
// can be linked to.

import { h, problem, say } from "./dom.js";
import { rangePicker, rangeOf } from "./range.js";
import { startTheme } from "./theme.js";
import * as overview from "./pages/overview.js";
import * as machines from "./pages/machines.js";
import * as machine from "./pages/machine.js";
import * as missing from "./pages/missing.js";
import * as update from "./pages/update.js";
import * as deployments from "./pages/deployments.js";
import * as deployment from "./pages/deployment.js";
import * as pipeline from "./pages/pipeline.js";

const PAGES = [
  ["", "Overview", overview],
  ["machines", "Machines", machines],
  ["missing", "Missing updates", missing],
  ["deployments", "Deployments", deployments],
  ["pipeline", "Pipeline", pipeline],
];
const DETAILS = { machine, update, deployment };

/** What goes along from page to page. */
const KEPT = ["range", "from", "to", "group"];

/** The address that is shown: a page, what it is about, and what is chosen. */
class Route {
  constructor(hash, signal) {
    const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
    [this.page = "", this.about = ""] = path.split("/").map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
    this.parameters = new URLSearchParams(query);
    this.signal = signal;
  }

  get(name) {
    return this.parameters.get(name) ?? "";
  }

  /** Parameters of a query over the time range. */
  range() {
    return rangeOf(this.parameters);
  }

  /** The address of another page, with the range and the group of this one. */
  link(page, about = "", chosen = {}) {
    const kept = KEPT.map((name) => [name, this.get(name)]);
    return hash(page, about, { ...Object.fromEntries(kept), ...chosen });
  }

  /** Keeps a choice in the address without drawing the page again. */
  keep(chosen, replace = false) {
    for (const [name, value] of Object.entries(chosen)) {
      if (value === "" || value === null || value === undefined) this.parameters.delete(name);
      else this.parameters.set(name, value);
    }
    const address = hash(this.page, this.about, Object.fromEntries(this.parameters));
    history[replace ? "replaceState" : "pushState"](null, "", address);
    frame(this);
  }
}

function hash(page, about, chosen) {
  const given = Object.entries(chosen).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  const path = [page, about].filter((part) => part !== "").map(encodeURIComponent).join("/");
  return `#/${path}${query ? `?${query}` : ""}`;
}

/** What stands around the page: where one is, and links that keep the range. */
function frame(route) {
  const place = { machine: "machines", update: "missing", deployment: "deployments" }[route.page] ?? route.page;
  document.getElementById("pages").replaceChildren(...PAGES.map(([name, title]) =>
    h("li", {}, h("a", { href: route.link(name), "aria-current": name === place ? "page" : null }, title))));
}

let showing = new AbortController();
let shown = null;

async function show() {
  if (!location.hash.startsWith("#/") && location.hash !== "") return;
  showing.abort();
  showing = new AbortController();
  const route = new Route(location.hash, showing.signal);
  const path = `${route.page}/${route.about}`;
  const focused = path === shown ? document.activeElement?.id : null;
  const moved = shown !== null && path !== shown;
  shown = path;

  frame(route);
  document.getElementById("range").replaceChildren(rangePicker(route.parameters, (chosen) => {
    // Of other rows there may be fewer pages.
    const pages = [...route.parameters.keys()].filter((name) => /(^|\.)page$/.test(name));
    route.keep({ ...chosen, ...Object.fromEntries(pages.map((name) => [name, ""])) });
    show();
  }));
  const main = document.getElementById("main");
  main.replaceChildren();
  const page = PAGES.find(([name]) => name === route.page)?.[2] ?? DETAILS[route.page];
  if (!page) {
    main.append(h("h1", { tabindex: "-1" }, "No such page"), h("p", {}, h("a", { href: "#/" }, "To the overview")));
    document.title = "No such page – Patchline";
  } else {
    try {
      const heading = page.show(main, route);
      document.title = `${heading} – Patchline`;
      if (moved) say(heading);
    } catch (error) {
      main.append(problem(error, show));
    }
  }
  if (focused) document.getElementById(focused)?.focus();
  else if (moved) {
    scrollTo(0, 0);
    main.querySelector("h1")?.focus();
  }
}

startTheme(document.getElementById("theme"));
document.querySelector(".skip").addEventListener("click", (event) => {
  // The address behind # is the page's; the link must not replace it.
  event.preventDefault();
  document.getElementById("main").focus();
});
addEventListener("hashchange", show);
show();
