
// The page: each sample is kept, and then shown everywhere.

const history = new History();
const tables = {
  routes: routesTable(at("routes")),
  targets: targetsTable(at("targets")),
  pools: poolsTable(at("pools")),
  listeners: listenersTable(at("listeners")),
  ages: agesTable(at("ages")),
  causes: causesTable(at("causes")),
};
const list = new List();
const cursor = { index: null };
const charts = {
  phases: phaseChart(at("chart"), (index) => { cursor.index = index; readout(); }),
  rates: rateChart(at("rates"), (index) => { cursor.index = index; readout(); }),
};

function makeTiles() {
  const tile = (phase, label, swatch) => {
    const made = element("button", { type: "button", "data-phase": phase, "aria-pressed": String(phase === ""), class: swatch },
      element("b", { text: NOTHING }), element("span", { text: label }));
    made.addEventListener("click", () => {
      list.pick(phase);
      at("oldest-title").scrollIntoView({ block: "nearest" });
    });
    return made;
  };
  at("phases").append(tile("", "open", "swatch-all"), ...PHASES.map((phase) => tile(phase, phase, `swatch-${phase}`)));
}

function showTiles({ connections, phases }) {
  const then = history.minuteAgo();
  for (const tile of at("phases").children) {
    const { phase } = tile.dataset;
    const [now, before] = phase ? [phases[phase], then?.phases[phase]] : [connections, then?.connections];
    say(tile.firstElementChild, whole(now));
    const more = before == null ? 0 : now - before;
    const sign = more > 0 ? "+" : more < 0 ? "−" : "±";
    say(tile.lastElementChild, `${phase || "open"} ${sign}${whole(Math.abs(more))}`);
    tile.lastElementChild.title = "against a minute ago";
  }
}

function facts(status) {
  const { descriptors, memory, config, log } = status;
  const reload = config.last_reload;
  return [
    ["version", status.version],
    ["up", ago(status.uptime_s)],
    ["generation", whole(config.generation)],
    ["reload", reload ? `${reload.taken ? "taken" : "refused"} ${clock(reload.at)}` : "none"],
    ["descriptors", usage(descriptors)],
    ["resident", bytes(memory.resident_bytes)],
    ["allocated", bytes(memory.allocated_bytes)],
    ["log", log.lost_total ? `${whole(log.lost_total)} lines lost` : log.level],
  ];
}

function showFacts(entries) {
  reconcile(at("facts"), entries, ([name]) => name,
    ([name]) => element("div", {}, element("dt", { text: name }), element("dd")),
    (row, [, value]) => say(row.lastElementChild, value));
}

function showName(status) {
  say(at("name"), status.name);
  at("state").hidden = status.state === "running" && status.ready;
  at("state").className = "badge warn";
  say(at("state"), status.state === "running" ? "not ready" : status.state.replace("_", " "));
  document.title = `${whole(status.connections)} · ${status.name} · SmartProxy`;
}

/** Green: all is well. Red: something is not. Grey: it is not known, which is neither. */
function showAudit({ clean, blind, ago_s, gauges }) {
  const known = ago_s != null && !blind;
  const found = Object.entries(gauges).filter(([, n]) => n > 0).map(([gauge, n]) => `${gauge.replace("_", " ")} ${whole(n)}`).join(", ");
  const state = !clean ? "defect" : known ? "clean" : "unknown";
  at("audit").className = `audit ${state}`;
  const verdict = { defect: `audit: ${found}`, clean: `audit clean${found ? ` (${found})` : ""}`, unknown: blind ? "audit: blind" : "audit: not yet" }[state];
  say(at("audit-text"), ago_s == null ? verdict : `${verdict}, ${ago(ago_s)} ago`);
  at("audit").title = blind ?? "";
}

/** A finding whose figures have changed is the same one, and keeps its line. Two that differ only in figures are two. */
function showFindings(found) {
  const seen = {};
  const items = (found.length ? found : [{ level: "quiet", text: "Nothing." }]).map((item) => {
    const words = `${item.level} ${item.text.replace(/[\d.\u202f]+/g, "#")}`;
    seen[words] = (seen[words] ?? 0) + 1;
    return { ...item, key: `${words} ${seen[words]}` };
  });
  reconcile(at("findings"), items, (item) => item.key,
    (item) => element("li", { class: item.level }), (row, item) => say(row, item.text));
}

/** The figures below the pointer, or else the newest. */
function readout() {
  const { columns } = history;
  const i = cursor.index ?? columns.at.length - 1;
  if (columns.relay[i] == null) return;
  const phases = [...STACK].reverse().filter((phase) => columns[phase][i] > 0).map((phase) => `${phase} ${whole(columns[phase][i])}`);
  const when = cursor.index == null ? "" : `${clock(columns.at[i])} · `;
  say(at("chart-readout"), when + (phases.join(" · ") || "none"));
  say(at("rates-readout"), `${when}opens ${rate(columns.opens[i])} · ends ${rate(columns.ends[i])}`);
}

function draw() {
  const { columns } = history;
  charts.phases.show(stacked(columns));
  charts.rates.show([columns.at, columns.opens, columns.ends]);
  readout();
}

function show(sample) {
  const { status, routes, groups, ages } = sample;
  showFacts(facts(status));
  showName(status);
  showAudit(status.audit);
  showFindings(findings(sample, history));
  showTiles(status);
  tables.routes.show(routes);
  tables.targets.show([...routes.flatMap((route) => route.targets), ...groups.flatMap((group) => group.members)]);
  tables.pools.show(status.pools);
  tables.listeners.show(status.listeners);
  tables.ages.show(ageRows(ages));
  tables.causes.show(causeRows(status.ended_total, history));
  list.sample(sample);
  draw();
}

function linked() {
  say(at("link"), "live");
  at("link").className = "link";
  at("news").classList.remove("old");
}

function lost(why) {
  const since = history.last ? `, since ${clock(history.last.at)}` : "";
  say(at("link"), `disconnected${since}: ${why}; trying again`);
  at("link").className = "link lost";
  at("news").classList.add("old");
  history.gap();
}

/** Room for what the first sample will bring, so that nothing moves when it comes. */
function showNothing() {
  makeTiles();
  showFacts(["version", "up", "generation", "reload", "descriptors", "resident", "allocated", "log"].map((name) => [name, NOTHING]));
  tables.ages.show(ageRows([]));
  for (const name of ["routes", "targets", "pools", "listeners", "causes"]) tables[name].show([]);
}

showNothing();
const stream = new Stream({
  onSample(sample) {
    history.add(sample);
    linked();
    // A page that nobody looks at goes on to remember, and draws when it is looked at again.
    if (!document.hidden) show(sample);
  },
  onLost: lost,
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && history.last) show(history.last);
});

// For whoever asks the page itself: its test, and a curious operator in the console.
globalThis.dashboard = { history, charts, list, stream, whole, rate, bytes, seconds, findings, showFindings, History };
