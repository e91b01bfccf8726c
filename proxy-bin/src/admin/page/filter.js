
// What is looked at: one filter for routes, targets, groups and the list. A finding sets it, and so does a row that is chosen.

const FILTER_KEYS = ["search", "phase", "route", "target", "listener", "pool", "client", "server_name"];
/** Those that have no field of their own in the page: they are shown as chips. */
const CHIPS = ["target", "listener", "pool", "client", "server_name"];

class Filter {
  constructor(onChange) {
    Object.assign(this, { onChange, values: {} });
    for (const id of ["phase", "route"]) at(id).addEventListener("change", () => this.set({ [id]: at(id).value }));
    let pause;
    at("search").addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(() => this.set({ search: at("search").value.trim() }), 250);
    });
  }

  /** Sets some of it; what is empty is none. */
  set(values) {
    const all = { ...this.values, ...values };
    this.replace(Object.fromEntries(Object.entries(all).filter(([, value]) => value)));
  }

  replace(values) {
    this.values = values;
    for (const id of ["phase", "route"]) at(id).value = values[id] ?? "";
    if (document.activeElement !== at("search")) at("search").value = values.search ?? "";
    this.showChips();
    this.onChange();
  }

  /** Chosen once it is set, chosen again it is taken back. */
  toggle(key, value) {
    this.set({ [key]: this.values[key] === value ? "" : value });
  }

  get isEmpty() {
    return Object.keys(this.values).length === 0;
  }

  /** In words: "route api, phase dial". */
  words() {
    return this.entries().map(([key, value]) => `${key.replace("_", " ")} ${value}`).join(", ");
  }

  entries() {
    return FILTER_KEYS.filter((key) => this.values[key]).map((key) => [key, this.values[key]]);
  }

  showChips() {
    const set = this.entries().filter(([key]) => CHIPS.includes(key));
    reconcile(at("chips"), set, ([key]) => key, () => element("button", { type: "button", class: "chip" }), (chip, [key, value]) => {
      say(chip, `${key.replace("_", " ")} ${value} ×`);
      chip.setAttribute("aria-label", `${key.replace("_", " ")} ${value}: look at all again`);
      chip.onclick = () => this.set({ [key]: "" });
    });
  }
}
