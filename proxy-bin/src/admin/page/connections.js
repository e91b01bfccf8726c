
// The list of connections: the oldest of all, or of one phase or route, with what can be done about them.

/** As many as a sample has. */
const LISTED = 20;

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
    { head: "deadline", className: "less", text: (it) => it.deadline },
    { head: "in", className: "n less", text: (it) => seconds(it.deadline_in_s), tone: (it) => (it.deadline_in_s < 0 ? "bad" : "") },
    { head: "", className: "n", show: (cell, it) => killButton(button(cell, "kill", "danger", `kill ${it.id}`, () => it.ended || killAfterAsking(it)), it) },
  ], (it) => it.id, "None is open.");
}

/** Not `disabled`: that would take the focus away from whoever stands on it, and the list would move on. */
function killButton(button, { ended }) {
  button.setAttribute("aria-disabled", String(!!ended));
}

class List {
  constructor() {
    this.table = listTable(at("oldest"));
    this.shown = [];
    this.asking = false;
    at("phase").append(...PHASES.map((phase) => element("option", { text: phase })));
    for (const id of ["sort", "phase", "route"]) at(id).addEventListener("change", () => this.choose());
  }

  /** What is asked for, as a query; empty where each sample has it anyway. */
  query() {
    const wanted = { sort: at("sort").value, phase: at("phase").value, route: at("route").value };
    if (wanted.sort === "age" && !wanted.phase && !wanted.route) return "";
    const given = Object.entries(wanted).filter(([, value]) => value);
    return new URLSearchParams([...given, ["limit", LISTED]]).toString();
  }

  choose() {
    for (const tile of at("phases").children) tile.setAttribute("aria-pressed", String(tile.dataset.phase === at("phase").value));
    this.shown = [];
    if (this.last) this.sample(this.last);
  }

  pick(phase) {
    at("phase").value = phase;
    this.choose();
  }

  async sample(sample) {
    this.last = sample;
    this.offerRoutes(sample.routes);
    const query = this.query();
    if (!query) return this.show(sample.oldest, sample.status.connections);
    // A slow server is not asked again before it has answered.
    if (this.asking) return;
    this.asking = true;
    try {
      const page = await (await ask(`/v1/connections?${query}`)).json();
      // Something else may have been chosen meanwhile.
      if (query === this.query()) this.show(page.connections, page.matched);
    } catch (error) {
      say(at("oldest-note"), error.message);
    } finally {
      this.asking = false;
    }
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
    const count = `${whole(Math.min(LISTED, matched))} of ${whole(matched)}`;
    say(at("oldest-note"), held ? `${count}, held still while you are in the list` : count);
  }

  offerRoutes(routes) {
    const select = at("route");
    const names = routes.map((route) => route.name);
    if ([...select.options].slice(1).map((option) => option.value).join("\n") === names.join("\n")) return;
    const chosen = select.value;
    select.replaceChildren(select.options[0], ...names.map((name) => element("option", { text: name, value: name })));
    select.value = names.includes(chosen) ? chosen : "";
  }
}
