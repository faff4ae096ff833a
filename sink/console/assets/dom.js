// Elements, made so that a value from the tables can only ever become text: nothing here parses markup.

/** An element with attributes, listeners (`onclick`) and children; texts become text nodes. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return element;
}

/** A link to another site; text alone where the address is none of the web's. */
export function outside(address, text) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return text;
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return text;
  return h("a", { href: url.href, rel: "noopener noreferrer", target: "_blank" }, text, h("span", { class: "unseen" }, " (opens a new tab)"));
}

/** A link to the knowledge base's article. */
export function article(kb) {
  if (!/^\d{5,9}$/.test(kb ?? "")) return kb ?? "";
  return outside(`https://support.microsoft.com/help/${kb}`, `KB${kb}`);
}

/** The bulletin or advisory that an update's row names, as a link where it has an address. */
export function bulletin(row) {
  const name = row.BulletinID || row.MSRCBulletinID || "";
  if (row.BulletinUrl) return outside(row.BulletinUrl, name || "bulletin");
  return name;
}

const numbers = new Intl.NumberFormat("en");
const fractions = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A number as people read it; a dash where there is none. */
export function count(value) {
  if (value === null || value === undefined || value === "") return "–";
  return Number.isInteger(value) ? numbers.format(value) : fractions.format(value);
}

/** A share in per cent, to a tenth; null of nothing. Never 100 where something is left. */
export function share(part, whole) {
  if (!whole) return null;
  const tenths = Math.round((1000 * part) / whole);
  return (tenths === 1000 && part < whole ? 999 : tenths) / 10;
}

/** A percentage as text. */
export function percent(value) {
  return value === null || value === undefined ? "–" : `${value.toFixed(1)} %`;
}

/** A time of the tables in UTC, to the minute. */
export function when(text) {
  if (!text) return "–";
  const shown = text.slice(0, 16).replace("T", " ");
  return h("time", { datetime: text, title: `${text.replace("T", " ").replace("Z", "")} UTC, ${age(text)}` }, shown);
}

/** How long ago, roughly. */
export function age(text) {
  const minutes = Math.round((Date.now() - Date.parse(text)) / 60000);
  const [value, unit] =
    Math.abs(minutes) < 120 ? [minutes, "minute"] : Math.abs(minutes) < 2880 ? [Math.round(minutes / 60), "hour"] : [Math.round(minutes / 1440), "day"];
  return new Intl.RelativeTimeFormat("en").format(-value, unit);
}

/** A duration in seconds as people read it. */
export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 120) return `${fractions.format(value)} s`;
  if (value < 7200) return `${fractions.format(value / 60)} min`;
  if (value < 172800) return `${fractions.format(value / 3600)} h`;
  return `${fractions.format(value / 86400)} d`;
}

const TONES = {
  "Up to date": "good", Ready: "good", Succeeded: "good", Compliant: "good", Installed: "good", Finished: "good", Completed: "good",
  "Updates needed": "warn", "Restart pending": "warn", "Security Updates": "warn", Needed: "warn", InProgress: "info", Running: "info", Scheduled: "info",
  "Critical Updates": "bad", Failed: "bad", FailedToStart: "bad", InstallFailed: "bad", MaintenanceWindowExceeded: "bad", Disconnected: "bad",
};

/** A state as a badge: the word, and a colour that only repeats it. */
export function badge(text) {
  return h("span", { class: `badge ${TONES[text] ?? "none"}` }, text);
}

/** The colour class of a state. */
export function tone(text) {
  return TONES[text] ?? "none";
}

/** Says something to a screen reader. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** A problem where its answer would stand. */
export function problem(error, again) {
  return h("div", { class: "problem", role: "alert" },
    h("p", {}, h("strong", {}, "This cannot be shown. "), error.message),
    again ? h("button", { type: "button", onclick: again }, "Try again") : null);
}
