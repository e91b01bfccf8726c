
// What is wrong, in words: what an operator should look at first, the worst first. Each finding says where, and what to do.

/** A crowd too small to be worth a word. */
const FEW = 10;
const NEAR = 0.8;

/** What is wrong: what the proxy says itself, where it does; and what this page sees of its state. The worst first. */
function findings(sample, history) {
  const { status } = sample;
  const told = sample.findings?.map(fromServer) ?? judged(sample, history);
  const found = [...told, ...changes(status)];
  const worst = ["bad", "warn", "info"];
  return found.sort((a, b) => worst.indexOf(a.level) - worst.indexOf(b.level));
}

const LEVEL_OF = { critical: "bad", warning: "warn", info: "info" };

function fromServer({ id, severity, subject, since, since_s, sentence, shows, mends }) {
  return { id, level: LEVEL_OF[severity] ?? "warn", subject, since, since_s, text: sentence, shows, mends };
}

/** What a finding's subject is looked at by: values of the filter; null where there is nothing to narrow. */
function lookedAtBy({ kind, name, of }) {
  switch (kind) {
    case "route": return { route: name };
    case "target": return of && !of.startsWith("@") ? { target: name, route: of } : { target: name };
    case "listener": return { listener: name };
    case "pool": return { pool: name };
    case "limit": return ofLimit(name);
    default: return null;
  }
}

/** A limit is named after what it is of: "route api", "target 10.0.0.1:80 of api". */
function ofLimit(name) {
  const [, kind, rest] = /^(pool|route|listener|target) (.+)$/.exec(name) ?? [];
  if (!kind) return null;
  return { [kind]: kind === "target" ? rest.split(" of ")[0] : rest };
}

/** Which routes and targets are in trouble, as "route api" and "target 10.0.0.1:80". */
function troubled(sample) {
  const subjects = (sample.findings ?? []).filter(({ severity }) => severity !== "info").map(({ subject }) => lookedAtBy(subject) ?? {});
  return new Set(subjects.flatMap(({ route, target }) => [route && `route ${route}`, target && `target ${target}`].filter(Boolean)));
}

/** The strip of findings: one line where there are none. */
class Strip {
  constructor(onChosen) {
    this.onChosen = onChosen;
  }

  show(found) {
    at("strip").classList.toggle("calm", found.length === 0);
    const items = found.length ? found : [{ level: "quiet", text: "Nothing is wrong." }];
    const seen = {};
    for (const item of items) {
      // A finding whose figures have changed is the same one, and keeps its line. Two that differ only in figures are two.
      const words = item.id ?? `${item.level} ${item.text.replace(/[\d.\u202f]+/g, "#")}`;
      seen[words] = (seen[words] ?? 0) + 1;
      item.key = `${words} ${seen[words]}`;
    }
    reconcile(at("findings"), items, (item) => item.key, (item) => this.line(item), (row, item) => this.update(row, item));
  }

  line({ subject }) {
    const what = subject ? element("button", { type: "button", class: "plain what" }) : element("span", { class: "what" });
    return element("li", {}, what, element("span", { class: "readout since" }), element("span", { class: "todo" }));
  }

  update(row, { level, text, subject, since, since_s, shows, mends }) {
    row.className = level;
    const [what, when, todo] = row.children;
    say(what, text);
    if (subject) what.onclick = () => this.onChosen(subject);
    say(when, since == null ? "" : `since ${clock(since)}, ${ago(since_s)}`);
    const commands = [["look", shows], ["mend", mends]].filter(([, command]) => command);
    reconcile(todo, commands, ([name]) => name, () => element("span", {}, element("span", { class: "readout" }), element("code")), (place, [name, command]) => {
      say(place.firstElementChild, `${name} `);
      say(place.lastElementChild, command);
    });
  }
}

/** What this page makes of a sample of a proxy that does not judge itself. */
function judged(sample, history) {
  const { status, routes, groups } = sample;
  return [
    ...faults(status),
    ...pressed(status),
    ...pileUps(sample, history),
    ...unreachable(routes),
    ...unwell(groups),
    ...nearLimits(status, routes),
    ...observed(status),
  ];
}

const bad = (text) => ({ level: "bad", text });
const warn = (text) => ({ level: "warn", text });
const info = (text) => ({ level: "info", text });

/** Gauges of the audit that are about a backend rather than about the proxy. */
const NOT_A_FAULT = ["stuck"];
const FAULTY_ENDS = ["panicked", "aborted", "illegal_transition", "overdue"];

function* faults({ audit, config, ended_total, last_upgrade }) {
  for (const [gauge, n] of Object.entries(audit.gauges)) {
    if (n === 0) continue;
    if (NOT_A_FAULT.includes(gauge)) yield warn(`${many(n, "connection")} ${n === 1 ? "is" : "are"} stuck: the backend never answered`);
    else yield bad(`the audit finds ${gauge.replace("_", " ")}: ${whole(n)}. A fault of the proxy: please report it with its log`);
  }
  for (const cause of FAULTY_ENDS) {
    if (ended_total[cause]) yield bad(`${many(ended_total[cause], "connection")} ended as ${cause}: a fault of the proxy`);
  }
  if (config.last_reload && !config.last_reload.taken) {
    yield bad(`the last reload was refused, generation ${config.generation} goes on: ${firstLine(config.last_reload.error)}`);
  }
  if (last_upgrade && !last_upgrade.taken) yield bad(`the last upgrade failed, this process goes on: ${firstLine(last_upgrade.error)}`);
}

function firstLine(text) {
  return (text ?? "").trim().split("\n")[0];
}

function* pressed({ pools }) {
  for (const { name, level, signal, waiting } of pools) {
    const because = signal ? ` (${signal})` : "";
    if (level === "shed") yield bad(`pool ${name} sheds: new connections are refused${because}`);
    if (level === "tight") yield warn(`pool ${name} is tight: deadlines are shortened, idle connections ended${because}`);
    if (waiting > 0) yield warn(`${many(waiting, "connection")} wait for a place in pool ${name}`);
  }
}

const WHY_PHASE = {
  header: "the previous hop sends no PROXY header: compare send_proxy there with accept_proxy here",
  peek: "clients send no ClientHello on a port that waits for one",
  dial: "backends accept slowly or not at all",
  drain: "one side has ended, and the other goes on",
};

/** Phases that should be short, and hold many; or else more and more connections of any kind. */
function pileUps(sample, history) {
  const piles = [...crowdedPhases(sample, history.minuteAgo())];
  return piles.length ? piles : [...growth(sample.status, history)];
}

function* crowdedPhases({ status, routes }, then) {
  for (const phase of Object.keys(WHY_PHASE)) {
    const n = status.phases[phase];
    const share = n / status.connections;
    const grows = n >= 2 * (then?.phases[phase] ?? n);
    if (n < FEW || share < (grows ? 0.05 : 0.25)) continue;
    const grave = share > 0.5 && n >= 10 * FEW;
    yield (grave ? bad : warn)(`${whole(n)} of ${many(status.connections, "connection")} in ${phase}${mostly(routes, phase)}: ${WHY_PHASE[phase]}`);
  }
}

function* growth({ connections }, history) {
  const then = history.minuteAgo();
  const grown = then ? connections - then.connections : 0;
  if (grown < 5 * FEW || grown <= then.connections / 4) return;
  yield warn(`${whole(grown)} connections more than ${ago(history.last.at - then.at)} ago: more open than end`);
}

/** The route that most of a phase's connections are of. */
function mostly(routes, phase) {
  const worst = routes.reduce((a, b) => (b.phases[phase] > (a?.phases[phase] ?? 0) ? b : a), null);
  return worst ? `, ${whole(worst.phases[phase])} of route ${worst.name}` : "";
}

function* unreachable(routes) {
  for (const { targets, name } of routes) {
    for (const { target, breaker, failures_in_a_row, retry_in_s } of targets) {
      if (breaker === "closed") continue;
      const next = breaker === "half_open" ? "it is being tried" : `tried again in ${ago(retry_in_s)}`;
      yield bad(`target ${target} of route ${name} is left alone after ${many(failures_in_a_row, "failed dial")}: ${next}`);
    }
  }
}

/** Members that are not used, and groups of which none is well. */
function* unwell(groups) {
  for (const { name, members, members_up, members_in_all } of groups) {
    const out = members.filter((member) => ["down", "ejected", "breaker_open", "full"].includes(member.state));
    if (members_up === 0 && members_in_all > 0) yield bad(`no member of group ${name} is well: all of them are tried all the same`);
    for (const { target, state, why, since_s } of out) {
      const since = since_s == null ? "" : `, for ${ago(since_s)}`;
      yield (state === "full" ? warn : bad)(`${target} of group ${name} is ${state.replace("_", " ")}${since}${why ? `: ${why}` : ""}`);
    }
  }
}

function* nearLimits(status, routes) {
  const all = { used: status.connections, most: status.max_connections };
  const limits = [["all connections", all], ["descriptors", status.descriptors]];
  for (const { name, connections } of status.pools) limits.push([`pool ${name}`, connections]);
  for (const { name, connections } of status.listeners) limits.push([`listener ${name}`, connections]);
  for (const { name, connections } of routes) limits.push([`route ${name}`, connections]);
  for (const [what, of] of limits) {
    const share = fraction(of);
    if (share >= NEAR) yield (share >= 1 ? bad : warn)(`${what}: ${usage(of)}`);
  }
}

function* changes(status) {
  if (status.state !== "running") yield info(`this process is ${status.state.replace("_", " ")}`);
  for (const { kind, name, left, began_with, ends_in_s } of status.drains) {
    const due = ends_in_s > 0 ? `ended in ${ago(ends_in_s)}` : "being ended";
    const end = ends_in_s == null ? "" : `, the rest is ${due}`;
    yield info(`draining ${name ? `${kind} ${name}` : kind}: ${whole(left)} of ${whole(began_with)} left${end}`);
  }
}

function* observed(status) {
  if (status.log.lost_total > 0) yield warn(`${many(status.log.lost_total, "log line")} lost: whoever reads the log is too slow`);
  if (status.audit.blind) yield warn(`the audit cannot see the kernel's sockets: ${status.audit.blind}`);
}
