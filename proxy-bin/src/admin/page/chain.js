
// The chain: hops side by side, and what lives on one of them only. It is asked for while somebody looks at it.

/** How often: a view is the reading of every hop's table. */
const CHAIN_MS = 3000;
/** Clocks that are further apart are told: log lines of two hops would be read in the wrong order. */
const CLOCKS_APART = 0.5;
const CHAIN_ROWS = 50;

class ChainView {
  constructor() {
    this.asking = false;
    for (const view of ["hop", "chain"]) at(`show-${view}`).addEventListener("click", () => this.choose(view));
    setInterval(() => this.look(), CHAIN_MS);
  }

  get isShown() {
    return !at("chain-view").hidden;
  }

  choose(view) {
    for (const one of ["hop", "chain"]) {
      at(`${one}-view`).hidden = one !== view;
      at(`show-${one}`).setAttribute("aria-pressed", String(one === view));
    }
    // Charts that were hidden have not followed the width of the page.
    for (const chart of Object.values(charts)) chart.fit();
    this.look();
  }

  async look() {
    if (!this.isShown || document.hidden || this.asking) return;
    this.asking = true;
    if (!this.last) say(at("chain-said"), "Asking the hops …");
    try {
      this.last = await (await ask(`/v1/chain?limit=${CHAIN_ROWS}`)).json();
      if (this.isShown) this.show(this.last);
    } catch (error) {
      say(at("chain-said"), error.message);
    } finally {
      this.asking = false;
    }
  }

  show(chain) {
    say(at("chain-said"), chainSaid(chain));
    lines(at("chain-wrong"), chainWrong(chain));
    reconcile(at("hops"), chain.hops, (hop) => hop.place ?? "", () => hopCard(), showHop);
    const sides = chain.groups.map((group) => ({ level: isOneSided(group) ? "warn" : "info", text: sideOf(group, chain.hops.length), more: group.meaning }));
    lines(at("sides"), sides.length ? sides : [{ level: "quiet", text: chain.not_joined ?? "None: each connection is on every hop." }]);
    this.showJoined(chain);
  }

  showJoined(chain) {
    const names = chain.hops.map((hop) => hop.name).join("\n");
    if (this.names !== names) {
      this.names = names;
      at("joined").replaceChildren();
      this.joined = joinedTable(at("joined"), chain.hops);
    }
    this.joined.show(chain.connections);
    const shown = chain.connections.length;
    say(at("joined-note"), chain.connections_total > shown ? `${whole(shown)} of ${whole(chain.connections_total)}, those on one hop only first` : "");
  }
}

function isOneSided({ verdict }) {
  return verdict === "missing_after" || verdict === "missing_before";
}

function chainSaid({ hops, on_all_hops, not_joined, groups }) {
  if (hops.length === 1) {
    return "This hop knows no other. Name the others in its configuration, in the order in which connections pass them: [admin] hops = [\"/run/inner/admin.sock\"]; a reload takes it.";
  }
  if (not_joined) return `The tables are not joined: ${not_joined}`;
  const alone = groups.filter(isOneSided).reduce((sum, group) => sum + group.count, 0);
  return `${many(on_all_hops, "connection")} on every hop, ${alone ? whole(alone) : "none"} on one hop only.`;
}

/** What is wrong with hops, whatever their connections. */
function chainWrong({ hops, disagreements, not_compared }) {
  const silent = hops.filter((hop) => !hop.answers).map((hop) => bad(`${hop.name} does not answer, since ${clock(hop.silent_since)} (${ago(hop.silent_for_s)}): ${hop.why ?? ""}`));
  const apart = disagreements.map((one) => ({ ...(one.advice ? info : warn)(`${one.outer} and ${one.inner} behind it do not fit together: ${one.sentence}`), more: one.mends && `in ${one.at}: ${one.mends}` }));
  const compared = not_compared && hops.length > 1 ? [info(`configurations are not compared: ${not_compared}`)] : [];
  return [...silent, ...hops.flatMap(wrongOf), ...apart, ...compared];
}

function wrongOf({ name, minute, clock_ahead_s, clock_within_s, place, facts, answers }) {
  const found = [];
  const refused = Object.entries(minute?.refused ?? {}).map(([cause, n]) => `${cause.replaceAll("_", " ")} ${whole(n)}`);
  if (refused.length) found.push(warn(`${name} has refused connections within a minute: ${refused.join(", ")}`));
  if (clock_ahead_s != null && Math.abs(clock_ahead_s) - clock_within_s > CLOCKS_APART) {
    found.push(warn(`the clock of ${name} is ${seconds(Math.abs(clock_ahead_s))} ${clock_ahead_s > 0 ? "ahead" : "behind"}`));
  }
  // This hop's own are in the strip.
  const told = place && answers ? (facts?.findings ?? []).filter(({ severity }) => severity !== "info") : [];
  return [...found, ...told.map((finding) => fromServer(finding)).map((finding) => ({ ...finding, text: `on ${name}: ${finding.text}`, more: finding.mends }))];
}

function lines(list, items) {
  const seen = {};
  for (const item of items) {
    const words = `${item.level} ${item.text.replace(/[\d.:\u202f]+/g, "#")}`;
    seen[words] = (seen[words] ?? 0) + 1;
    item.key = `${words} ${seen[words]}`;
  }
  const make = () => element("li", {}, element("span", {}), element("span", { class: "readout" }));
  reconcile(list, items, (item) => item.key, make, (row, { level, text, more }) => {
    row.className = level;
    say(row.firstElementChild, text);
    say(row.lastElementChild, more ?? "");
  });
}

/** "115 on outer only, in dial → 10.0.0.1:80, the oldest 1m 01s; 3 older than 10m". */
function sideOf(group, hops) {
  const place = isOneSided(group) ? (hops > 2 && group.not_on ? `${group.hop}, not on ${group.not_on}` : `${group.hop} only`) : `${group.hop}, ${group.verdict.replaceAll("_", " ")}`;
  const target = group.target ? ` → ${group.target}` : "";
  const bounds = group.ages.map((age, i) => ({ over: i > 0 ? group.ages[i - 1].at_most_s : 0, n: age.connections })).filter(({ n, over }) => n > 0 && over >= 60);
  const old = bounds.map(({ over, n }) => `${whole(n)} over ${bound(over)}`).join(", ");
  return `${whole(group.count)} on ${place}, in ${group.phase}${target}, the oldest ${ago(group.oldest_s)}${old ? ` (${old})` : ""}`;
}

function hopCard() {
  return element("section", { class: "panel hop" }, element("h2"), element("dl", { class: "pairs" }), element("ul", { class: "piles" }));
}

function showHop(card, hop) {
  const [title, facts, piles] = card.children;
  const name = title.firstElementChild ?? title.appendChild(element("span"));
  const mark = title.children[1] ?? title.appendChild(element("span"));
  say(name, hop.name);
  const state = !hop.answers ? ["does not answer", "bad"] : hop.facts?.ready === false ? [hop.facts.state.replace("_", " "), "warn"] : ["answers", ""];
  say(mark, state[0]);
  mark.className = `badge ${state[1]}`;
  const entries = hopFacts(hop);
  reconcile(facts, entries.flatMap(([key, value]) => [{ key, tag: "dt", text: key }, { key: `${key}=`, tag: "dd", text: value }]), (one) => one.key,
    (one) => element(one.tag), (row, one) => say(row, one.text));
  reconcile(piles, hop.piles.slice(0, 8), (pile) => `${pile.phase} ${pile.target}`, () => element("li", { class: "phase" }), (row, pile) => {
    row.className = `phase swatch-${pile.phase}`;
    say(row, `${whole(pile.connections)} in ${pile.phase} → ${pile.target ?? "no target yet"}, the oldest ${ago(pile.oldest_s)}`);
  });
}

function spread(deadline) {
  const told = (s) => (s == null ? "never" : seconds(s));
  return deadline.least_s === deadline.most_s ? told(deadline.most_s) : `${told(deadline.least_s)} to ${told(deadline.most_s)}`;
}

/** What is compared by looking along a line. The same lines for each hop, so that they stand side by side. */
function hopFacts({ facts, minute, connections, clock_ahead_s, place }) {
  const { deadlines } = facts ?? {};
  const refused = minute && Object.values(minute.refused).reduce((sum, n) => sum + n, 0);
  const off = clock_ahead_s == null ? (place ? NOTHING : "this one's") : Math.abs(clock_ahead_s) < 0.01 ? "the same" : `${clock_ahead_s > 0 ? "+" : "−"}${seconds(Math.abs(clock_ahead_s))}`;
  return [
    ["open", whole(connections ?? facts?.connections)],
    ["opened, ended", minute ? `${whole(minute.opened)}, ${whole(minute.ended)} in a minute` : NOTHING],
    ["refused", minute ? `${whole(refused)} in a minute` : NOTHING],
    ["dial", deadlines ? `at most ${spread(deadlines.dial)}` : NOTHING],
    ["silence", deadlines ? `at most ${spread(deadlines.idle)}` : NOTHING],
    ["half-closed", deadlines ? `at most ${spread(deadlines.half_closed)}` : NOTHING],
    ["clock", off],
    ["up", ago(facts?.uptime_s)],
    ["version", facts?.version ?? NOTHING],
    ["at", place ?? "here"],
  ];
}

function joinedTable(table, hops) {
  const of = (i) => [
    { head: hops[i].name, className: "id", text: (row) => row.on[i]?.id ?? NOTHING },
    { head: "", show: (cell, row) => { const phase = row.on[i]?.phase; say(cell, phase ?? ""); cell.className = phase ? `phase swatch-${phase}` : ""; } },
    { head: "age", className: "n less", text: (row) => seconds(row.on[i]?.age_s) },
  ];
  const there = (row) => row.on.filter(Boolean);
  return new Table(table, [
    { head: "", className: "text", text: (row) => (row.verdict === "whole" ? "" : row.verdict.replaceAll("_", " ")), tone: (row) => (isOneSided(row) ? "warn" : "") },
    ...hops.flatMap((_, i) => of(i)),
    { head: "client", className: "text less", text: (row) => there(row)[0]?.client ?? there(row)[0]?.peer ?? NOTHING },
    { head: "target", className: "text", text: (row) => there(row).at(-1)?.target ?? NOTHING },
  ], (row) => row.on.map((it) => it?.id ?? "").join(" "), "No connection.");
}
