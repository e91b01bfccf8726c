
// Figures as an operator reads them: short, of one width, the same in every locale (they are pasted into tickets).

const NOTHING = "–";
/** Narrow, and no line breaks there. */
const THIN_SPACE = "\u202f";

/** 1234567 → "1 234 567". */
function whole(n) {
  return n == null ? NOTHING : String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
}

/** 0.4, 12.5, 1 234: one digit behind the point while it says something. */
function rate(n) {
  if (n == null) return NOTHING;
  return n < 99.95 && Math.abs(n - Math.round(n)) >= 0.05 ? n.toFixed(1) : whole(n);
}

/** 1536 → "1.5 KiB". */
function bytes(n) {
  if (n == null) return NOTHING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  // 1023.5 would be shown as 1024 of the smaller unit.
  while (n >= 1023.5 && unit < units.length - 1) {
    n /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || n >= 99.95 ? 0 : 1;
  return `${n.toFixed(digits)} ${units[unit]}`;
}

/** Seconds: "340ms", "12.3s", "4m 05s", "3h 20m", "12d 4h". A deadline that has passed is negative. */
function seconds(s) {
  if (s == null) return NOTHING;
  if (s < 0) return `−${seconds(-s)}`;
  if (s < 0.9995) return `${Math.round(s * 1000)}ms`;
  if (s < 59.95) return `${s.toFixed(1)}s`;
  const two = (n) => String(n).padStart(2, "0");
  const all = Math.round(s);
  if (all < 3600) return `${Math.floor(all / 60)}m ${two(all % 60)}s`;
  const minutes = Math.floor(all / 60);
  if (minutes < 2880) return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
  return `${Math.floor(minutes / 1440)}d ${Math.floor((minutes % 1440) / 60)}h`;
}

/** How long ago, or since when: no parts of seconds, which would only flicker. */
function ago(s) {
  return s != null && s < 59.5 ? `${Math.floor(s)}s` : seconds(s);
}

/** A bound in round units: "1s", "5m", "1h". */
function bound(s) {
  if (s < 1) return `${Math.round(s * 1000)}ms`;
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${s / 60}m`;
  return s < 86400 ? `${s / 3600}h` : `${s / 86400}d`;
}

/** {used: 3, most: 10} → "3 of 10"; "3" where there is no limit. */
function usage(of) {
  return of.most == null ? whole(of.used) : `${whole(of.used)} of ${whole(of.most)}`;
}

/** How much of a limit is in use, 0 to 1; 0 where there is none. */
function fraction(of) {
  return of.most ? of.used / of.most : 0;
}

/** The time of day, as the operator's clock has it. */
function clock(at) {
  return new Date(at * 1000).toTimeString().slice(0, 8);
}

function many(n, one, several = `${one}s`) {
  return `${whole(n)} ${n === 1 ? one : several}`;
}

const at = (id) => document.getElementById(id);
