
// The two charts over time. uPlot draws on a canvas; what it shows is said in words beside it.

/** From the bottom up: what is calm lies below, so that a pile-up stands out on top of it. */
const CALM = ["relay", "drain"];
const STACK = [...CALM, ...PHASES.filter((phase) => !CALM.includes(phase)).reverse()];
const WINDOWS = [60, 120, 300, HISTORY_SECONDS];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A round number that `n` fits under: the scale must not move with every connection. */
function roof(n) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  return [1, 2, 3, 5, 10].map((step) => step * unit).find((step) => step >= n * 1.05) ?? 10 * unit;
}

/** Where a scale begins and ends that shows growth: from 0, unless the lowest layer is so tall, and so level, that what changes above
 * it would not be seen. Then a part of that layer is left out, never more. */
function scale(data, least) {
  const [, top = []] = data;
  const [relay = [], before = []] = data.slice(-2);
  const known = (...columns) => columns.flat().filter((n) => n != null);
  const [totals, lowest] = [known(top, before), known(relay, before)];
  const ends = [0, Math.max(least, roof(Math.max(0, ...totals)))];
  if (totals.length < LEVEL_POINTS) return ends;
  const [low, high, calm] = [Math.min(...totals), Math.max(...totals), Math.min(...lowest)];
  const span = Math.max(high - low, high / 50);
  if (calm < LEVEL_LEAST || span > high / 4) return ends;
  const step = roof(span / 2);
  const bottom = Math.floor(Math.min(low - span / 2, calm * 0.95) / step) * step;
  return bottom > 0 ? [bottom, Math.ceil((high + span / 4) / step) * step] : ends;
}

/** A scale is cut off where so many points are known, and so many connections are always there. */
const LEVEL_POINTS = 30;
const LEVEL_LEAST = 100;

/** The columns to draw: each phase on top of those below it. The tallest is painted first, and the others over it. Last, what was open
 * before the phases were known. */
function stacked(columns) {
  const below = columns.at.map(() => 0);
  const layers = STACK.map((phase) => columns[phase].map((n, i) => (n == null ? null : (below[i] += n))));
  return [columns.at, ...layers.reverse(), columns.before];
}

/** The shortest window that holds what is known: a chart of ten minutes is empty for nine of them. */
function timeRange(at) {
  const last = at.length ? at[at.length - 1] : Date.now() / 1000;
  const known = at.length ? last - at[0] : 0;
  const span = WINDOWS.find((window) => window >= known) ?? HISTORY_SECONDS;
  return [last - span, last];
}

function axis(more) {
  const line = { stroke: colour("line"), width: 1 };
  return { stroke: colour("quiet"), grid: line, ticks: { ...line, size: 4 }, font: "11px system-ui, sans-serif", ...more };
}

class Chart {
  /** `series`: [{label, stroke, fill}]; `least`: the least that the scale reaches up to. */
  constructor(place, { series, least, onCursor, order = ["axes", "series"], bands = () => [], range = (most) => [0, Math.max(least, roof(most ?? 0))] }) {
    Object.assign(this, { place, series, least, onCursor, order, bands, range });
    this.data = [[], ...series().map(() => [])];
    new ResizeObserver(() => this.plot && this.fit()).observe(place);
    // A canvas does not know of colour schemes: it is drawn anew when the scheme changes.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
    this.build();
  }

  size() {
    return { width: Math.max(100, this.place.clientWidth), height: this.place.clientHeight };
  }

  build() {
    this.plot?.destroy();
    const options = {
      ...this.size(),
      padding: [8, 26, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
      drawOrder: this.order,
      scales: {
        x: { time: true, range: () => timeRange(this.data[0]) },
        y: { range: (_, __, most) => this.ends(most) },
      },
      axes: [
        axis({ size: 26, space: 70, values: (_, ticks) => ticks.map((at) => clock(at).slice(0, 5 + 3 * (at % 60 !== 0))) }),
        axis({ size: 54, space: 28, values: (_, ticks) => ticks.map((n) => (Number.isInteger(n) ? whole(n) : "")) }),
      ],
      series: [{}, ...this.series()],
      bands: this.bands(),
      hooks: { setCursor: [(plot) => this.onCursor(plot.cursor.idx)] },
    };
    this.plot = new uPlot(options, this.data, this.place);
  }

  ends(most) {
    const ends = this.range(most, this.data);
    [this.from] = ends;
    return ends;
  }

  /** Takes the size that its place has. */
  fit() {
    if (this.place.clientWidth > 0) this.plot.setSize(this.size());
  }

  show(data) {
    this.data = data;
    this.plot.setData(data);
  }
}

function phaseChart(place, onCursor) {
  const series = () => [...[...STACK].reverse(), "before"].map((phase) => ({ label: phase, stroke: colour(phase), fill: colour(phase), width: 1, points: { show: false } }));
  // The grid is drawn over the areas, which would hide it.
  return new Chart(place, { series, least: 10, onCursor, order: ["series", "axes"], range: (_, data) => scale(data, 10) });
}

function rateChart(place, onCursor) {
  const series = () => ["opens", "ends"].map((name) => ({ label: name, stroke: colour(name), width: 1.5, points: { show: false } }));
  // Between the two: what comes on top, or goes.
  const bands = () => [{ series: [1, 2], fill: colour("more") }, { series: [2, 1], fill: colour("fewer") }];
  return new Chart(place, { series, least: 5, onCursor, bands });
}
