
// What was, for as long as the charts reach back. Bounded: a page may stay open for weeks.

const HISTORY_SECONDS = 600;
const MINUTE = 60;

function total(counts) {
  return Object.values(counts).reduce((sum, n) => sum + n, 0);
}

class History {
  constructor(most = HISTORY_SECONDS) {
    this.most = most;
    this.forget();
  }

  forget() {
    /** One array a column, as uPlot takes them. `null` is a gap in the line. */
    this.columns = { at: [], opens: [], ends: [], before: [] };
    for (const phase of PHASES) this.columns[phase] = [];
    /** Ends by cause, as they were at each second of the last minute. */
    this.minute = [];
    this.last = null;
  }

  add(sample) {
    const { status, at } = sample;
    // Another process counts from 0: what was belongs to one that is no more.
    if (this.last && this.last.status.pid !== status.pid) this.forget();
    const rates = this.ratesUntil(sample);
    this.push({ at, ...status.phases, ...rates });
    this.minute.push({ at, ended: status.ended_total, connections: status.connections, phases: status.phases });
    while (this.minute[0].at < at - MINUTE) this.minute.shift();
    this.last = sample;
  }

  /** Takes what the proxy remembers of the time before this page was opened: how many were open, not in which phases. */
  seed({ until, step_s, steps }) {
    const { at } = this.columns;
    const first = at[0] ?? Infinity;
    const rows = steps.map((step, i) => ({ at: until - (steps.length - 1 - i) * step_s, before: step?.open, opens: step?.opened_per_s, ends: step?.ended_per_s }));
    const older = rows.filter((row) => row.at < first - step_s / 2).slice(-(this.most - at.length));
    for (const [name, column] of Object.entries(this.columns)) column.unshift(...older.map((row) => row[name] ?? null));
    // Both meet where the page begins to see for itself.
    if (at.length > older.length && this.columns.relay[older.length] != null) this.columns.before[older.length] = this.open(older.length);
  }

  /** How many were open at a moment. */
  open(i) {
    return this.columns.before[i] ?? PHASES.reduce((sum, phase) => sum + this.columns[phase][i], 0);
  }

  /** Says that there is nothing to be drawn between what was and what comes. */
  gap() {
    if (!this.last) return;
    const row = { at: this.last.at + 0.001 };
    this.push(row);
  }

  ratesUntil({ at, status }) {
    if (!this.last || at <= this.last.at) return {};
    const [then, passed] = [this.last.status, at - this.last.at];
    return {
      opens: Math.max(0, status.opened_total - then.opened_total) / passed,
      ends: Math.max(0, total(status.ended_total) - total(then.ended_total)) / passed,
    };
  }

  push(row) {
    for (const [name, column] of Object.entries(this.columns)) {
      column.push(row[name] ?? null);
      if (column.length > this.most) column.shift();
    }
  }

  /** By how many more were open at a moment than a minute before it, or than at the first that is known. */
  netUntil(i) {
    const { at, relay, before } = this.columns;
    let first = i;
    while (first > 0 && at[first - 1] >= at[i] - MINUTE && (relay[first - 1] ?? before[first - 1]) != null) first -= 1;
    return this.open(i) - this.open(first);
  }

  /** How many have ended of `cause` in the last minute, or since the page has watched. */
  endedLately(cause) {
    if (this.minute.length === 0) return 0;
    const [then, now] = [this.minute[0].ended, this.minute[this.minute.length - 1].ended];
    return Math.max(0, (now[cause] ?? 0) - (then[cause] ?? 0));
  }

  /** The figures of a minute ago, or the oldest there are; null before there are any. */
  minuteAgo() {
    return this.minute[0] ?? null;
  }
}
