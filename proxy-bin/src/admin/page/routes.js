
// Routes and targets: what changed within a minute, what of it failed, what moved; those in trouble first.

/** So many rows are shown until it is asked for all. */
const ROWS = 15;
/** A point of a sparkline, and how many there are: ten minutes. */
const POINT_SECONDS = 10;
const POINTS = 60;

/** Open connections by name over ten minutes: what sparklines draw, and what a minute's growth is where the proxy does not say it. */
class Tracks {
  constructor() {
    this.of = new Map();
    this.at = -Infinity;
  }

  /** Takes the figures of one moment; what is gone is forgotten. */
  add(at, figures) {
    if (at - this.at < POINT_SECONDS && at >= this.at) return;
    this.at = at;
    for (const name of this.of.keys()) if (!figures.has(name)) this.of.delete(name);
    for (const [name, open] of figures) {
      const track = this.of.get(name) ?? [];
      track.push(open);
      if (track.length > POINTS) track.shift();
      this.of.set(name, track);
    }
  }

  /** Takes what the proxy remembers of the time before this page was opened. */
  seed(name, { step_s, steps }) {
    const track = this.of.get(name);
    if (!track || track.length > 1) return;
    const every = Math.max(1, Math.round(POINT_SECONDS / step_s));
    const open = steps.filter((_, i) => (steps.length - 1 - i) % every === 0).map((step) => step?.open).filter((n) => n != null);
    track.unshift(...open.slice(-(POINTS - track.length)));
  }

  track(name) {
    return this.of.get(name) ?? [];
  }

  /** By how many more are open than a minute ago; null before that is known. */
  grown(name, now) {
    const track = this.track(name);
    const back = Math.round(MINUTE / POINT_SECONDS);
    return track.length > back ? now - track[track.length - 1 - back] : null;
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** Fills a cell with a line of what was: from its own least to its own most, so that growth is seen. */
function sparkline(cell, track) {
  const [width, height] = [72, 18];
  const [least, most] = [Math.min(...track), Math.max(...track)];
  const span = Math.max(most - least, most * 0.05, 1);
  const x = (i) => (width - 2) * (track.length > 1 ? i / (track.length - 1) : 1) + 1;
  const y = (n) => height - 2 - ((n - least) / span) * (height - 4);
  const points = track.map((n, i) => `${x(i).toFixed(1)},${y(n).toFixed(1)}`).join(" ");
  let line = cell.querySelector("polyline");
  if (!line) {
    const drawing = document.createElementNS(SVG, "svg");
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.setAttribute("role", "img");
    line = drawing.appendChild(document.createElementNS(SVG, "polyline"));
    cell.append(drawing);
  }
  if (line.getAttribute("points") === points) return;
  line.setAttribute("points", points);
  line.parentNode.setAttribute("aria-label", track.length ? `open over ${ago((track.length - 1) * POINT_SECONDS)}: ${whole(least)} to ${whole(most)}` : "");
}

/** "+12", "−3", "±0": against a minute ago. */
function change(n) {
  if (n == null) return NOTHING;
  return `${n > 0 ? "+" : n < 0 ? "−" : "±"}${whole(Math.abs(n))}`;
}

/** What of those that ended within a minute the backend failed, from 0 to 1; null where none ended. */
function failedShare(minute) {
  return minute?.ended ? minute.failed / minute.ended : null;
}

function percent(share) {
  if (share == null) return NOTHING;
  return share > 0 && share < 0.01 ? "< 1 %" : `${Math.round(share * 100)} %`;
}

function failing(minute) {
  const share = failedShare(minute);
  if (share == null || minute.failed < 3) return "";
  return share >= 0.1 ? "bad" : share >= 0.01 ? "warn" : "";
}

function perSecond(minute) {
  return minute ? `${bytes(minute.from_client_bytes_per_s)} / ${bytes(minute.from_backend_bytes_per_s)}` : NOTHING;
}

/** The columns that routes and targets have in common, from `outcomes` and what the page has seen. */
function outcomeColumns() {
  const minute = (row) => row.outcomes?.minute;
  return [
    { head: "more or fewer than a minute ago", short: "± 1m", className: "n", text: (row) => change(row.grown), tone: (row) => (row.grown >= FEW && row.grown > row.connections.used / 5 ? "warn" : "") },
    { head: "open, over ten minutes", short: "10m", className: "spark less", show: (cell, row) => sparkline(cell, row.track) },
    { head: "failed, of those that ended within a minute", short: "failed", className: "n", text: (row) => percent(failedShare(minute(row))), tone: (row) => failing(minute(row)) },
    { head: "bytes a second, from clients / backends", short: "bytes a second", className: "n less", text: (row) => perSecond(minute(row)) },
    { head: "first byte, 99 of 100", short: "first byte", className: "n less", text: (row) => seconds(row.outcomes?.first_byte_p99_s) },
  ];
}

const DRAINING = ["draining", "warn"];
/** In words: how it is to whoever wants to go there. */
const STATES = {
  up: ["up", ""], slow_start: ["slow start", "warn"], draining: DRAINING, full: ["full", "warn"],
  breaker_open: ["left alone", "bad"], ejected: ["taken out", "bad"], down: ["down", "bad"], removed: ["removed", "warn"],
};

function routeState(route) {
  if (route.draining) return DRAINING;
  if (!route.in_force) return ["removed", "warn"];
  return route.enabled ? ["", "none"] : ["not enabled", ""];
}

/** A name that, chosen, is looked at alone. */
function chooser(cell, text, key, value, filter) {
  const button = cell.firstElementChild ?? cell.appendChild(element("button", { type: "button", class: "plain" }));
  say(button, text);
  button.title = text;
  button.setAttribute("aria-pressed", String(filter.values[key] === value));
  button.onclick = () => filter.toggle(key, value);
}

function routesTable(table, filter) {
  return new Table(table, [
    { head: "route", className: "text", show: (cell, route) => chooser(cell, route.group ? `${route.name} → @${route.group}` : route.name, "route", route.name, filter) },
    { head: "open", className: "n", text: (route) => usage(route.connections), tone: (route) => fullness(route.connections) },
    ...outcomeColumns(),
    // Routes are known from dial on: no connection of a route is in header or peek.
    { head: "in dial", className: "n less", text: (route) => whole(route.phases.dial), tone: ({ phases }) => (phases.dial >= FEW && phases.dial >= phases.relay ? "warn" : "") },
    { head: "oldest", className: "n", text: (route) => seconds(route.oldest_s) },
    { head: "", show: (cell, route) => badge(cell, ...routeState(route)) },
  ], (route) => route.name, "No routes.");
}

function targetsTable(table, filter) {
  return new Table(table, [
    { head: "target", className: "text", show: (cell, target) => chooser(cell, target.target, "target", target.target, filter) },
    { head: "of", className: "text less", text: (target) => (target.group ? `@${target.group}` : target.route) },
    { head: "open", className: "n", text: (target) => usage(target.connections), tone: (target) => fullness(target.connections) },
    ...outcomeColumns(),
    { head: "weight", className: "n less", text: weight },
    { head: "state", show: (cell, target) => badge(cell, ...(STATES[target.state] ?? [target.state, ""])) },
    { head: "for", className: "n less", text: (target) => seconds(target.since_s) },
    { head: "why", className: "text less", text: why },
  ], targetKey, "No targets.");
}

function targetKey({ group, route, target }) {
  return `${group ?? ""} ${route} ${target}`;
}

/** Why it is not up, when it is tried again, and what its dials failed of. */
function why({ why, retry_in_s, failed_total }) {
  const retry = retry_in_s == null ? null : retry_in_s > 0 ? `next try in ${seconds(retry_in_s)}` : "it is being tried";
  const failed = Object.entries(failed_total).map(([cause, n]) => `${cause} ${whole(n)}`).join(", ");
  return [why, retry, failed && `dials failed: ${failed}`].filter(Boolean).join("; ") || NOTHING;
}

/** Its weight, and how much of that it gets now where that is not all; a backup and what was set by hand are marked. */
function weight(target) {
  const share = target.share_percent === 100 ? "" : ` (${target.share_percent} %)`;
  const marks = [target.backup && "backup", target.by_hand && "by hand"].filter(Boolean).join(", ");
  return `${target.weight}${share}${marks ? ` ${marks}` : ""}`;
}

/** Routes and targets, kept over samples. */
class Outcomes {
  constructor(filter) {
    this.filter = filter;
    this.tracks = { routes: new Tracks(), targets: new Tracks() };
    this.tables = { routes: routesTable(at("routes"), filter), targets: targetsTable(at("targets"), filter) };
    this.whole = { routes: false, targets: false };
    for (const kind of ["routes", "targets"]) {
      at(`${kind}-more`).addEventListener("click", () => {
        this.whole[kind] = !this.whole[kind];
        if (this.last) this.show(this.last);
      });
    }
  }

  /** Notes what is open: also while nobody looks. */
  add(sample) {
    const targets = targetsOf(sample);
    this.tracks.routes.add(sample.at, new Map(sample.routes.map((route) => [route.name, route.connections.used])));
    this.tracks.targets.add(sample.at, new Map(targets.map((target) => [targetKey(target), target.connections.used])));
  }

  /** Takes what the proxy remembers of its routes and targets. */
  seed(histories) {
    for (const history of histories) {
      const { kind, name, of } = history.subject;
      if (kind === "route") this.tracks.routes.seed(name, history);
      const member = of?.startsWith("@");
      if (kind === "target") this.tracks.targets.seed(targetKey({ group: member ? of.slice(1) : null, route: member ? "" : of, target: name }), history);
    }
  }

  show(sample) {
    this.last = sample;
    const { route, target } = this.filter.values;
    const routes = sample.routes.filter((one) => !route || one.name === route);
    const group = route && routes[0]?.group;
    const ofRoute = (one) => !route || one.route === route || (group && one.group === group);
    const targets = targetsOf(sample).filter((one) => (!target || one.target === target) && ofRoute(one));
    const trouble = troubled(sample);
    this.fill("routes", routes, (one) => one.name, (one) => trouble.has(`route ${one.name}`));
    this.fill("targets", targets, targetKey, (one) => one.state !== "up" || trouble.has(`target ${one.target}`));
  }

  fill(kind, items, keyOf, isInTrouble) {
    const tracks = this.tracks[kind];
    const row = (item) => ({
      ...item,
      trouble: isInTrouble(item),
      track: tracks.track(keyOf(item)),
      grown: item.outcomes?.minute?.grown ?? tracks.grown(keyOf(item), item.connections.used),
    });
    const rows = items.map(row);
    // A stable sort: nobody's row moves but those that get into trouble, or out of it.
    rows.sort((a, b) => b.trouble - a.trouble);
    const shown = this.whole[kind] ? rows : rows.slice(0, ROWS);
    this.tables[kind].show(shown);
    shown.forEach((one, i) => this.tables[kind].body.children[i].classList.toggle("trouble", one.trouble));
    const more = rows.length - shown.length;
    at(`${kind}-more`).hidden = rows.length <= ROWS;
    say(at(`${kind}-more`), more > 0 ? `and ${whole(more)} more` : "show fewer");
    say(at(`${kind}-note`), this.filter.isEmpty || rows.length === 0 ? "" : `of ${this.filter.words()}`);
  }
}

function targetsOf({ routes, groups }) {
  return [...routes.flatMap((route) => route.targets), ...groups.flatMap((group) => group.members)];
}
