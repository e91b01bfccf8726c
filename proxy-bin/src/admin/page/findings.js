
// What is wrong: what an operator should look at first, the worst first. It is judged in the proxy, and the same list is in every view;
// each finding says where, since when, and what to type.

/** A crowd too small to be worth a word. */
const FEW = 10;
const NEAR = 0.8;

/** What is wrong, as the proxy says it itself, the worst first. */
function findings({ findings, status }) {
  return findings.map((finding) => fromServer(finding, status));
}

const bad = (text) => ({ level: "bad", text });
const warn = (text) => ({ level: "warn", text });
const info = (text) => ({ level: "info", text });

const LEVEL_OF = { critical: "bad", warning: "warn", info: "info" };

function fromServer({ id, rule, severity, subject, since, since_s, sentence, shows, mends }, status) {
  const text = `${named(subject)}${sentence}${rule === "drained" ? drained(subject, status) : ""}`;
  return { id, level: LEVEL_OF[severity] ?? "warn", subject, since, since_s, text, shows, mends };
}

/** What a finding is about, before what is said of it: nothing for the proxy itself. */
function named({ kind, name, of }) {
  return kind === "process" ? "" : `${kind} ${name}${of ? ` of ${of}` : ""}: `;
}

/** How far a drain is. */
function drained({ kind, name }, status) {
  const drain = status?.drains.find((one) => (one.kind === kind && one.name === name) || (one.kind === "everything" && kind === "process"));
  if (!drain) return "";
  const { left, began_with, ends_in_s } = drain;
  const due = ends_in_s == null ? "" : `, the rest is ${ends_in_s > 0 ? `ended in ${ago(ends_in_s)}` : "being ended"}`;
  return `; ${whole(left)} of ${whole(began_with)} left${due}`;
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
  const subjects = sample.findings.filter(({ severity }) => severity !== "info").map(({ subject }) => lookedAtBy(subject) ?? {});
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
