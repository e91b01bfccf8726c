
// The server, asked and listened to. `fetch` rather than `EventSource`, which does not tell why it was refused, nor that
// it has been silent for long. Where a token is needed the browser asks for it, and sends it by itself.

/** A sample is due each second. After so many without one the link is as good as lost. */
const SILENCE_MS = 5000;
const LONGEST_PAUSE_MS = 10000;

/** The server said no, in these words. */
class Refused extends Error {}

/** Asks the API. Throws `Refused` with the server's own words where it says no. */
async function ask(path, { method = "GET", body, signal } = {}) {
  const headers = {};
  // Not a form's content type: so no page elsewhere can make a browser send it unasked.
  if (method !== "GET") headers["content-type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal, cache: "no-store" });
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  return new Refused(problem.detail ?? problem.title ?? `the proxy answered ${response.status}`);
}

/** The events of a stream of server-sent events, as they come. Only what this server sends: `event`, `data`. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value.replace(/\r/g, "");
    const whole = text.split("\n\n");
    text = whole.pop();
    yield* whole.map(event);
  }
}

function event(text) {
  const found = { name: "message", data: "" };
  for (const line of text.split("\n")) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") found.name = value;
    if (field === "data") found.data += value;
  }
  return found;
}

/** Follows the samples for as long as the page is open, and tells when the link is lost. */
class Stream {
  constructor({ onSample, onLost }) {
    Object.assign(this, { onSample, onLost });
    this.pause = 500;
    this.follow();
  }

  async follow() {
    for (;;) {
      await this.wait(await this.listen().catch((error) => error));
    }
  }

  /** Until the stream ends, or is silent for too long. */
  async listen() {
    const stop = new AbortController();
    let alarm;
    const arm = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => stop.abort(), SILENCE_MS);
    };
    arm();
    try {
      for await (const { name, data } of events(await ask("/v1/events", { signal: stop.signal }))) {
        arm();
        if (name !== "sample") continue;
        this.pause = 500;
        this.onSample(JSON.parse(data));
      }
    } finally {
      clearTimeout(alarm);
      stop.abort();
    }
    return new Error("the proxy ended the stream");
  }

  wait(why) {
    this.onLost(why instanceof Refused ? why.message : "the proxy does not answer");
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE_MS);
    return new Promise((go) => setTimeout(go, this.pause));
  }
}
