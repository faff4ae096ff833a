// Questions to the server: a query's name and parameters, never SQL.

/** An answer that did not come, with a message for people. */
export class Problem extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

/** The address of a query with its parameters, the empty ones left out. */
export function address(query, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = new URLSearchParams(given).toString();
  return `/api/${query}${text ? `?${text}` : ""}`;
}

/** Asks a query; its rows come as objects. */
export async function ask(query, parameters, signal) {
  let response;
  try {
    response = await fetch(address(query, parameters), { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("offline", "The console does not answer. Is patchline-console running?");
  }
  let answer;
  try {
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreadable", `The console's answer cannot be read (status ${response.status}).`);
  }
  if (!response.ok) {
    throw new Problem(answer.error?.kind ?? "failed", answer.error?.message ?? `status ${response.status}`);
  }
  const names = answer.columns.map((column) => column.name);
  const rows = answer.rows.map((row) => Object.fromEntries(row.map((value, place) => [names[place], value])));
  return { ...answer, rows };
}
