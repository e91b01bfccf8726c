
// What is asked and told on top of the page. `showModal` keeps the focus inside, Escape closes, and the focus goes back.

function pairs(place, entries) {
  place.replaceChildren(...entries.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value ?? NOTHING })]));
}

/** Shows `dialog` until it is closed; true if `yes` closed it. */
function answered(dialog, yes, no) {
  // The event `close` comes some time after a dialog has closed. Whoever is quick asks again before, and an answer must
  // not count for what was asked first as well.
  dialog.dismiss?.();
  return new Promise((tell) => {
    const done = new AbortController();
    const { signal } = done;
    const finish = (answer) => {
      done.abort();
      dialog.dismiss = null;
      dialog.close();
      tell(answer);
    };
    dialog.dismiss = () => finish(false);
    yes.addEventListener("click", () => finish(true), { signal });
    no?.addEventListener("click", () => finish(false), { signal });
    dialog.addEventListener("close", () => { if (!dialog.open) finish(false); }, { signal });
    dialog.showModal();
  });
}

let silence;
/** Says something for a while, to eyes and to screen readers. */
function announce(text) {
  at("said").textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { at("said").textContent = ""; }, 6000);
}

async function killAfterAsking(connection) {
  const { id, client, peer, route, target, phase, age_s, in_phase_s } = connection;
  pairs(at("confirm-facts"), [
    ["id", id], ["client", client ?? peer], ["route", route], ["target", target],
    ["phase", `${phase}, for ${seconds(in_phase_s)}`], ["age", seconds(age_s)],
  ]);
  if (!(await answered(at("confirm"), at("confirm-yes"), at("confirm-no")))) return;
  try {
    await ask(`/v1/connections/${encodeURIComponent(id)}`, { method: "DELETE" });
    announce(`${id} is ended`);
  } catch (error) {
    announce(`${id}: ${error.message}`);
  }
}

/** Ends all that the filter lets through, after it was said how many that are. */
async function killAllAfterAsking(filter) {
  const kill = async (dry_run) => (await ask("/v1/connections/kill", { method: "POST", body: { filter: { ...filter.values }, dry_run } })).json();
  try {
    const { matched } = await kill(true);
    if (matched === 0) return announce(`none matches ${filter.words()}`);
    at("confirm-all-count").textContent = `${many(matched, "connection")} ${matched === 1 ? "matches" : "match"}:`;
    at("confirm-all-yes").textContent = `End ${whole(matched)}`;
    pairs(at("confirm-all-facts"), filter.entries().map(([key, value]) => [key.replace("_", " "), value]));
    if (!(await answered(at("confirm-all"), at("confirm-all-yes"), at("confirm-all-no")))) return;
    const { killed } = await kill(false);
    announce(`${many(killed, "connection")} ended`);
  } catch (error) {
    announce(error.message);
  }
}

async function showInFull(id) {
  let all;
  try {
    all = await (await ask(`/v1/connections/${encodeURIComponent(id)}`)).json();
  } catch (error) {
    announce(`${id}: ${error.message}`);
    return;
  }
  at("full-title").textContent = `Connection ${id}`;
  pairs(at("full-facts"), connectionPairs(all.connection));
  pairs(at("full-client"), socketPairs("client's side", all.client_socket));
  pairs(at("full-backend"), socketPairs("backend's side", all.backend_socket));
  await answered(at("full"), at("full-close"));
}

function connectionPairs(it) {
  return [
    ["phase", `${it.phase} (${it.state}), for ${seconds(it.in_phase_s)}`], ["age", seconds(it.age_s)], ["silent for", seconds(it.idle_s)],
    ["client", it.client], ["peer", it.peer], ["previous ids", it.previous.join(" / ") || null], ["listener", it.listener],
    ["server name", it.server_name], ...tlsPairs(it.tls), ["route", it.route], ["target", it.target], ["pool", it.pool],
    ["from client", bytes(it.from_client_bytes)], ["from backend", bytes(it.from_backend_bytes)],
    ["deadline", `${it.deadline} in ${seconds(it.deadline_in_s)}`], ["immortal", it.immortal ? "yes" : "no"],
  ];
}

function tlsPairs(tls) {
  if (!tls) return [];
  const agreed = [tls.version, tls.cipher, tls.group, tls.resumed ? "resumed" : null].filter((part) => part).join(", ");
  return [["TLS", agreed || null], ["ALPN", tls.alpn], ["JA4", tls.ja4], ["identity", tls.identity], ["TLS before", tls.before]].filter(([, value]) => value);
}

function socketPairs(title, socket) {
  if (!socket) return [[title, "none, or it could not be looked at"]];
  const ends = [[title, `descriptor ${socket.descriptor}`], ["local", socket.local], ["remote", socket.remote]];
  const { tcp } = socket;
  if (!tcp) return ends;
  return [
    ...ends, ["TCP", tcp.state], ["round trip", `${seconds(tcp.rtt_s)} ± ${seconds(tcp.rtt_var_s)}`], ["timeout", seconds(tcp.rto_s)],
    ["retransmits", `${whole(tcp.retransmits)} in a row, ${whole(tcp.retransmits_total)} in all`], ["on their way", many(tcp.unacked, "segment")],
    ["unsent", bytes(tcp.unsent_bytes)], ["unread", bytes(tcp.unread_bytes)], ["window", many(tcp.congestion_window, "segment")],
    ["last sent", `${seconds(tcp.last_sent_s)} ago`], ["last received", `${seconds(tcp.last_received_s)} ago`],
  ];
}
