
// Tables whose rows stay where they are while their figures change: whoever reads, selects or tabs through one keeps the place.
// Every string goes in as text, never as markup: a server name is whatever a client sent.

function element(name, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (text != null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) {
    if (value != null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Only what is new touches the document. */
function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** The rows of `body` become those of `items`, in order. A row that stays is not moved, and so keeps the focus. */
function reconcile(body, items, keyOf, make, update) {
  const stay = new Set(items.map(keyOf));
  const rows = new Map();
  for (const row of [...body.children]) {
    if (stay.has(row.dataset.key)) rows.set(row.dataset.key, row);
    else row.remove();
  }
  let place = body.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const row = rows.get(key) ?? Object.assign(make(item), {});
    row.dataset.key = key;
    update(row, item);
    if (row === place) place = place.nextElementSibling;
    else body.insertBefore(row, place);
  }
}

/**
 * A table of `columns`: {head, text(item), className, tone(item), show(cell, item)}. `tone` is a class for what wants
 * attention; `show` fills a cell that holds more than text.
 */
class Table {
  constructor(table, columns, keyOf, empty) {
    Object.assign(this, { table, columns, keyOf, empty });
    const heads = columns.map(({ head, short, className }) => element("th", { text: short ?? head, title: short && head, class: className, scope: "col" }));
    this.body = element("tbody");
    table.append(element("thead", {}, element("tr", {}, ...heads)), this.body);
  }

  show(items) {
    if (items.length === 0) items = [null];
    reconcile(this.body, items, (item) => (item ? this.keyOf(item) : ""), (item) => this.row(item), (row, item) => this.update(row, item));
  }

  row(item) {
    if (!item) return element("tr", { class: "none" }, element("td", { text: this.empty, colspan: this.columns.length }));
    const cells = this.columns.map(({ head, className }) => element("td", { class: className, "data-label": head || null }));
    return element("tr", {}, ...cells);
  }

  update(row, item) {
    if (!item) return;
    this.columns.forEach(({ text, tone, className, show }, i) => {
      const cell = row.children[i];
      if (text) {
        say(cell, text(item));
        // What is cut off can still be read.
        if (className?.includes("text")) cell.title = cell.textContent;
      }
      if (tone) cell.className = `${className ?? ""} ${tone(item) ?? ""}`.trim();
      if (show) show(cell, item);
    });
  }
}

/** Fills a cell with a word on a coloured ground. */
function badge(cell, text, tone) {
  const mark = cell.firstElementChild ?? cell.appendChild(element("span"));
  say(mark, text);
  mark.className = `badge ${tone}`;
}

/** Fills a cell with a bar: `share` from 0 to 1. */
function bar(cell, share, tone = "") {
  const line = cell.firstElementChild ?? cell.appendChild(element("i"));
  line.style.setProperty("--share", Math.min(1, share || 0).toFixed(4));
  line.className = share > 0 ? tone : "zero";
}

/** How full something is, as a tone. */
function fullness(of) {
  const share = fraction(of);
  return share >= 1 ? "bad" : share >= NEAR ? "warn" : "";
}

const LEVELS = { normal: ["normal", ""], tight: ["tight", "warn"], shed: ["shed", "bad"] };

function poolsTable(table, filter) {
  return new Table(table, [
    { head: "pool", className: "text", show: (cell, pool) => chooser(cell, pool.name, "pool", pool.name, filter) },
    { head: "open", className: "n", text: (pool) => usage(pool.connections), tone: (pool) => fullness(pool.connections) },
    { head: "waiting", className: "n", text: (pool) => whole(pool.waiting), tone: (pool) => (pool.waiting > 0 ? "warn" : "") },
    { head: "level", show: (cell, pool) => badge(cell, ...(LEVELS[pool.level] ?? [pool.level, ""])) },
    { head: "for", className: "text", text: (pool) => pool.signal ?? NOTHING },
  ], (pool) => pool.name, "No pools.");
}

function listenersTable(table, filter) {
  return new Table(table, [
    { head: "listener", className: "text", show: (cell, listener) => chooser(cell, listener.name, "listener", listener.name, filter) },
    { head: "open", className: "n", text: (listener) => usage(listener.connections), tone: (listener) => fullness(listener.connections) },
    { head: "", show: (cell, listener) => badge(cell, ...(listener.draining ? DRAINING : ["accepts", ""])) },
  ], (listener) => listener.name, "No listeners.");
}

function agesTable(table) {
  return new Table(table, [
    { head: "age", text: (row) => row.label },
    { head: "", className: "share", show: (cell, row) => bar(cell, row.share) },
    { head: "connections", className: "n", text: (row) => whole(row.connections) },
  ], (row) => row.label, "");
}

/** Where the rows of ages end. The server's buckets are finer: thirty rows would say less than nine. */
const AGE_STEPS = [1, 10, 60, 300, 1800, 3600, 10800, 86400, Infinity];

/** The buckets, put together, with a label each: "up to 1s", "1s to 10s", "over 1d". */
function ageRows(ages) {
  const rows = AGE_STEPS.map((step, i) => {
    const from = i > 0 ? bound(AGE_STEPS[i - 1]) : null;
    const label = step === Infinity ? `over ${from}` : from ? `${from} to ${bound(step)}` : `up to ${bound(step)}`;
    return { label, connections: 0 };
  });
  for (const { at_most_s, connections } of ages) {
    rows[AGE_STEPS.findIndex((step) => (at_most_s ?? Infinity) <= step)].connections += connections;
  }
  const most = Math.max(1, ...rows.map((row) => row.connections));
  return rows.map((row) => ({ ...row, share: row.connections / most }));
}

/** Ends that no connection should have. */
const FAULTY_ENDS = ["panicked", "aborted", "illegal_transition", "overdue"];

function causesTable(table) {
  const tone = ({ cause }) => (FAULTY_ENDS.includes(cause) ? "bad" : "");
  return new Table(table, [
    // As the log has it, but for the joints.
    { head: "cause", text: (row) => row.cause.replaceAll("_", " "), tone },
    { head: "", className: "share", show: (cell, row) => bar(cell, row.share, tone(row)) },
    { head: "last minute", className: "n", text: (row) => whole(row.lately) },
    { head: "in all", className: "n", text: (row) => whole(row.total) },
  ], (row) => row.cause, "None has ended yet.");
}

/** The most frequent of the last minute first. */
function causeRows(ended, history) {
  const rows = Object.entries(ended).map(([cause, n]) => ({ cause, total: n, lately: history.endedLately(cause) }));
  rows.sort((a, b) => b.lately - a.lately || b.total - a.total || a.cause.localeCompare(b.cause));
  const most = Math.max(1, ...rows.map((row) => row.lately));
  return rows.map((row) => ({ ...row, share: row.lately / most }));
}
