
// The page: each sample is kept, and then shown everywhere.

const history = new History();
const filter = new Filter(() => refilter());
const outcomes = new Outcomes(filter);
const strip = new Strip((subject) => lookAt(subject));
const tables = {
  pools: poolsTable(at("pools"), filter),
  listeners: listenersTable(at("listeners"), filter),
  ages: agesTable(at("ages")),
  causes: causesTable(at("causes")),
};
const list = new List(filter);
const cursor = { index: null };
const charts = {
  phases: phaseChart(at("chart"), (index) => { cursor.index = index; readout(); }),
  rates: rateChart(at("rates"), (index) => { cursor.index = index; readout(); }),
};
const chain = new ChainView();

/** Something else is looked at. What is above the list keeps its height meanwhile: nothing moves under the click that chose it. */
function refilter() {
  const above = at("routes").closest(".side-by-side");
  if (filter.isEmpty) above.style.minHeight = "";
  else if (!above.style.minHeight) above.style.minHeight = `${above.offsetHeight}px`;
  if (outcomes.last) outcomes.show(outcomes.last);
  list.choose();
}

/** Looks at what a finding is about: what is below shows that alone; a hop's is in the view of the chain. */
function lookAt(subject) {
  if (subject.kind === "hop") return chain.choose("chain");
  chain.choose("hop");
  filter.replace(lookedAtBy(subject) ?? {});
  at("oldest-title").focus({ preventScroll: true });
  at(subject.kind === "process" ? "phases" : "routes").scrollIntoView({ block: "nearest" });
}

function makeTiles() {
  const tile = (phase, label, swatch) => {
    const made = element("button", { type: "button", "data-phase": phase, "aria-pressed": String(phase === ""), class: swatch },
      element("b", { text: NOTHING }), element("span", { text: label }));
    made.addEventListener("click", () => {
      filter.set({ phase });
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
    say(tile.lastElementChild, `${phase || "open"} ${change(before == null ? 0 : now - before)}`);
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

/** The figures below the pointer, or else the newest. */
function readout() {
  const { columns } = history;
  const i = cursor.index ?? columns.at.length - 1;
  if (columns.relay[i] == null) return;
  const phases = [...STACK].reverse().filter((phase) => columns[phase][i] > 0).map((phase) => `${phase} ${whole(columns[phase][i])}`);
  const when = cursor.index == null ? "" : `${clock(columns.at[i])} · `;
  const from = charts.phases.from;
  say(at("chart-readout"), when + (phases.join(" · ") || "none") + (from > 0 ? ` · the scale begins at ${whole(from)}` : ""));
  say(at("rates-readout"), `${when}opens ${rate(columns.opens[i])} · ends ${rate(columns.ends[i])} · net ${change(history.netUntil(i))} within a minute`);
}

function draw() {
  const { columns } = history;
  charts.phases.show(stacked(columns));
  charts.rates.show([columns.at, columns.opens, columns.ends]);
  readout();
}

function show(sample) {
  const { status, ages } = sample;
  showFacts(facts(status));
  showName(status);
  showAudit(status.audit);
  strip.show(findings(sample));
  showTiles(status);
  outcomes.show(sample);
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
  for (const name of ["pools", "listeners", "causes"]) tables[name].show([]);
  for (const table of Object.values(outcomes.tables)) table.show([]);
}

/** Fills the charts with what the proxy remembers. Where it does not, they fill with time. */
async function remember() {
  try {
    history.seed(await (await ask("/v1/history?subject=process")).json());
    for (const kind of ["route", "target"]) outcomes.seed(await (await ask(`/v1/history/all?kind=${kind}`)).json());
    if (history.last && !document.hidden) show(history.last);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
}

showNothing();
const stream = new Stream({
  onSample(sample) {
    const another = history.last?.status.pid !== sample.status.pid;
    history.add(sample);
    outcomes.add(sample);
    linked();
    if (another) remember();
    // A page that nobody looks at goes on to remember, and draws when it is looked at again.
    if (!document.hidden) show(sample);
  },
  onLost: lost,
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && history.last) show(history.last);
});

// For whoever asks the page itself: its test, and a curious operator in the console.
globalThis.dashboard = { history, charts, list, filter, outcomes, chain, stream, strip, whole, rate, bytes, seconds, change, percent, scale, findings, lookedAtBy, lookAt, show, History, Tracks };
