
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

/** The columns to draw: each phase on top of those below it. The tallest is painted first, and the others over it. */
function stacked(columns) {
  const below = columns.at.map(() => 0);
  const layers = STACK.map((phase) => columns[phase].map((n, i) => (n == null ? null : (below[i] += n))));
  return [columns.at, ...layers.reverse()];
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
  constructor(place, { series, least, onCursor, order = ["axes", "series"] }) {
    Object.assign(this, { place, series, least, onCursor, order });
    this.data = [[], ...series().map(() => [])];
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(place);
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
        y: { range: (_, __, most) => [0, Math.max(this.least, roof(most ?? 0))] },
      },
      axes: [
        axis({ size: 26, space: 70, values: (_, ticks) => ticks.map((at) => clock(at).slice(0, 5 + 3 * (at % 60 !== 0))) }),
        axis({ size: 54, space: 28, values: (_, ticks) => ticks.map((n) => (Number.isInteger(n) ? whole(n) : "")) }),
      ],
      series: [{}, ...this.series()],
      hooks: { setCursor: [(plot) => this.onCursor(plot.cursor.idx)] },
    };
    this.plot = new uPlot(options, this.data, this.place);
  }

  show(data) {
    this.data = data;
    this.plot.setData(data);
  }
}

function phaseChart(place, onCursor) {
  const series = () => [...STACK].reverse().map((phase) => ({ label: phase, stroke: colour(phase), fill: colour(phase), width: 1, points: { show: false } }));
  // The grid is drawn over the areas, which would hide it.
  return new Chart(place, { series, least: 10, onCursor, order: ["series", "axes"] });
}

function rateChart(place, onCursor) {
  const series = () => ["opens", "ends"].map((name) => ({ label: name, stroke: colour(name), width: 1.5, points: { show: false } }));
  return new Chart(place, { series, least: 5, onCursor });
}
