
// Connections: in groups of what they have in common, and one by one: the oldest of all, or of those that are looked at, with what
// can be done about them.

/** As many as a sample has. */
const LISTED = 20;
/** Groups that are shown, and how often they are asked for. */
const GROUPED = 8;
const REGROUP_MS = 2000;

function listTable(table) {
  const button = (cell, text, className, label, act) => {
    const made = cell.firstElementChild ?? cell.appendChild(element("button", { type: "button", class: className, text }));
    made.setAttribute("aria-label", label);
    made.onclick = act;
    return made;
  };
  return new Table(table, [
    { head: "id", className: "id", show: (cell, it) => button(cell, it.id, "plain", `show ${it.id} in full`, () => showInFull(it.id)) },
    { head: "", show: (cell, it) => { say(cell, it.phase); cell.className = `phase swatch-${it.phase}`; } },
    { head: "age", className: "n", text: (it) => seconds(it.age_s) },
    { head: "in phase", className: "n", text: (it) => seconds(it.in_phase_s) },
    { head: "idle", className: "n", text: (it) => seconds(it.idle_s) },
    { head: "client", className: "text whole", text: (it) => it.client ?? it.peer },
    { head: "name", className: "text less", text: (it) => it.server_name ?? NOTHING },
    { head: "route", className: "text", text: (it) => it.route ?? NOTHING },
    { head: "target", className: "text rest", text: (it) => it.target ?? NOTHING },
    { head: "from client", className: "n less", text: (it) => bytes(it.from_client_bytes) },
    { head: "from backend", className: "n less", text: (it) => bytes(it.from_backend_bytes) },
    { head: "ended by", className: "less", text: (it) => it.deadline },
    { head: "in", className: "n less", text: (it) => seconds(it.deadline_in_s), tone: (it) => (it.deadline_in_s < 0 ? "bad" : "") },
    { head: "", className: "n", show: (cell, it) => endButton(button(cell, "end", "end", `end ${it.id}`, () => it.ended || killAfterAsking(it)), it) },
  ], (it) => it.id, "None is open.");
}

/** Not `disabled`: that would take the focus away from whoever stands on it, and the list would move on. */
function endButton(button, { ended }) {
  button.setAttribute("aria-disabled", String(!!ended));
}

/** What a group is called that has nothing of the kind. */
const NAMELESS = { route: "no route yet", target: "no target yet", client: "client not known yet", server_name: "no server name" };

function groupsTable(table, list) {
  const phases = ({ phases }) => PHASES.filter((phase) => phases[phase] > 0).map((phase) => `${whole(phases[phase])} ${phase}`).join(" · ");
  return new Table(table, [
    { head: "", className: "text whole", show: (cell, group) => list.groupChooser(cell, group) },
    { head: "", className: "share less", show: (cell, group) => bar(cell, group.share) },
    { head: "connections", className: "n", text: (group) => whole(group.connections) },
    { head: "phases", className: "text", text: phases },
    { head: "oldest", className: "n", text: (group) => seconds(group.oldest_s) },
    { head: "longest idle", className: "n less", text: (group) => seconds(group.longest_idle_s) },
    { head: "from clients", className: "n less", text: (group) => bytes(group.from_client_bytes) },
    { head: "from backends", className: "n less", text: (group) => bytes(group.from_backend_bytes) },
  ], (group) => `${list.by}\n${group.name ?? ""}\n${group.name == null}`, "None is open.");
}

class List {
  constructor(filter) {
    this.filter = filter;
    this.table = listTable(at("oldest"));
    this.groups = groupsTable(at("groups"), this);
    this.shown = [];
    this.asking = {};
    this.groupedAt = 0;
    at("phase").append(...PHASES.map((phase) => element("option", { text: phase })));
    at("sort").addEventListener("change", () => this.choose());
    at("by").addEventListener("change", () => this.choose());
    at("end-all").addEventListener("click", () => this.filter.isEmpty || killAllAfterAsking(this.filter));
  }

  get by() {
    return at("by").value;
  }

  /** What is asked for, as a query; empty where each sample has it anyway. */
  query() {
    const sort = at("sort").value;
    if (sort === "age" && this.filter.isEmpty) return "";
    return new URLSearchParams([["sort", sort], ...this.filter.entries(), ["limit", LISTED]]).toString();
  }

  choose() {
    for (const tile of at("phases").children) tile.setAttribute("aria-pressed", String(tile.dataset.phase === (this.filter.values.phase ?? "")));
    at("end-all").setAttribute("aria-disabled", String(this.filter.isEmpty));
    at("end-all").title = this.filter.isEmpty ? "choose a group or search first: then all that match can be ended" : "";
    this.shown = [];
    this.groupedAt = 0;
    if (this.last) this.sample(this.last);
  }

  sample(sample) {
    this.last = sample;
    this.offerRoutes(sample.routes);
    this.list(sample);
    if (Date.now() - this.groupedAt >= REGROUP_MS) this.regroup();
  }

  async list(sample) {
    const query = this.query();
    if (!query) return this.show(sample.oldest, sample.status.connections);
    await this.once("list", async () => {
      const page = await (await ask(`/v1/connections?${query}`)).json();
      // Something else may have been chosen meanwhile.
      if (query === this.query()) this.show(page.connections, page.matched);
    }, "oldest-note");
  }

  async regroup() {
    this.groupedAt = Date.now();
    const query = this.groupQuery();
    await this.once("groups", async () => {
      const answer = await (await ask(`/v1/connections/groups?${query}`)).json();
      if (query === this.groupQuery()) this.showGroups(answer);
    }, "groups-note");
  }

  groupQuery() {
    return new URLSearchParams([["by", this.by], ...this.filter.entries(), ["limit", GROUPED]]).toString();
  }

  /** A slow server is not asked again before it has answered. */
  async once(what, act, note) {
    if (this.asking[what]) return;
    this.asking[what] = true;
    try {
      await act();
    } catch (error) {
      say(at(note), error.message);
    } finally {
      this.asking[what] = false;
    }
  }

  showGroups({ matched, groups, groups_total }) {
    const most = Math.max(1, ...groups.map((group) => group.connections));
    this.groups.show(groups.map((group) => ({ ...group, share: group.connections / most })));
    const words = this.by.replace("_", " ");
    const more = groups_total - groups.length;
    say(at("groups-note"), `${whole(matched)} in ${many(groups_total, "group")} by ${words}${more > 0 ? `; the ${whole(groups.length)} largest` : ""}`);
  }

  /** The name of a group; chosen, its connections are listed below. */
  groupChooser(cell, { name }) {
    const chosen = name == null ? null : () => this.filter.toggle(this.by, name);
    const button = cell.firstElementChild ?? cell.appendChild(element(chosen ? "button" : "span", chosen ? { type: "button", class: "plain" } : {}));
    say(button, name ?? NAMELESS[this.by] ?? NOTHING);
    button.title = button.textContent;
    if (!chosen) return;
    button.setAttribute("aria-pressed", String(this.filter.values[this.by] === name));
    button.onclick = chosen;
  }

  /**
   * While somebody points at the list or tabs through it no row moves, comes or goes: what ended stays and says so. A
   * click must not hit another connection than the one that was aimed at.
   */
  show(connections, matched) {
    const held = this.shown.length > 0 && at("oldest").matches(":hover, :focus-within");
    if (held) {
      const living = new Map(connections.map((it) => [it.id, it]));
      connections = this.shown.map((it) => living.get(it.id) ?? { ...it, ended: true });
    }
    this.shown = connections;
    this.table.show(connections);
    for (const [i, it] of connections.entries()) this.table.body.children[i].classList.toggle("ended", !!it.ended);
    const of = this.filter.isEmpty ? "" : ` of ${this.filter.words()}`;
    const count = `${whole(Math.min(LISTED, matched))} of ${whole(matched)}${of}`;
    say(at("oldest-note"), held ? `${count}, held still while you are in the list` : count);
  }

  offerRoutes(routes) {
    const select = at("route");
    const names = routes.map((route) => route.name);
    if ([...select.options].slice(1).map((option) => option.value).join("\n") === names.join("\n")) return;
    const chosen = this.filter.values.route ?? "";
    select.replaceChildren(select.options[0], ...names.map((name) => element("option", { text: name, value: name })));
    select.value = names.includes(chosen) ? chosen : "";
  }
}
