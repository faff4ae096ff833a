// Light or dark: as the system has it, until somebody chooses.

const KEY = "patchline-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

function chosen() {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : null;
}

/** Whether the page is dark now. */
export function isDark() {
  return (chosen() ?? (dark.matches ? "dark" : "light")) === "dark";
}

/** Calls `listener` at each change, until `signal` fires. */
export function onTheme(listener, signal) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

/** Makes `button` the switch. */
export function startTheme(button) {
  const apply = () => {
    const now = isDark();
    document.documentElement.dataset.theme = now ? "dark" : "light";
    button.textContent = now ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${now ? "light" : "dark"} colours`);
    listeners.forEach((listener) => listener());
  };
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, isDark() ? "light" : "dark");
    apply();
  });
  dark.addEventListener("change", apply);
  apply();
}
